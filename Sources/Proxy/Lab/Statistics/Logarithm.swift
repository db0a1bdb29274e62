import Glibc

/// The natural logarithm, by a name that says so; its neighbours need nothing else of the C library.
func logarithm(_ value: Double) -> Double { log(value) }

/// e to the power of `value`.
func exponential(_ value: Double) -> Double { exp(value) }
