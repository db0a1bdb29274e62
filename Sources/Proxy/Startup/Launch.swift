import CUring
