import Glibc

/// Where the settings of a run come from, with all texts, so that another process can read them again without rights.
enum ConfigurationSource: Sendable, Equatable {
    /// A file, and the text of every file that was read for it.
    case file(path: String, texts: [SourceText])
    /// The quick reverse proxy of the command line.
    case quick(listen: [String], to: [String])

    struct SourceText: Sendable, Equatable {
        var path: String
        var text: String
    }

    func encode(into writer: inout HandoverWriter) {
        switch self {
        case .file(let path, let texts):
            writer.put(0)
            writer.put(path)
            writer.put(texts.map(\.path))
            writer.put(texts.map(\.text))
        case .quick(let listen, let to):
            writer.put(1)
            writer.put(listen)
            writer.put(to)
        }
    }

    init?(from reader: inout HandoverReader) {
        switch reader.number() {
        case 0:
            guard let path = reader.text(), let paths = reader.texts(), let texts = reader.texts(),
                paths.count == texts.count
            else { return nil }
            self = .file(path: path, texts: zip(paths, texts).map { SourceText(path: $0, text: $1) })
        case 1:
            guard let listen = reader.texts(), let to = reader.texts() else { return nil }
            self = .quick(listen: listen, to: to)
        default:
            return nil
        }
    }
}

/// The whole of a file as text; nil when it cannot be read, with errno telling why.
func readTextFile(_ path: String) -> String? {
    readBytes(path).map { String(decoding: $0, as: UTF8.self) }
}

/// The whole of a file; files of /proc and /sys too, which have no size.
func readBytes(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return readToEnd(descriptor)
}

func readToEnd(_ descriptor: Int32) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count > 0 {
            bytes.append(contentsOf: chunk[..<count])
        } else if count == 0 {
            return bytes
        } else if errno != EINTR {
            return nil
        }
    }
}
