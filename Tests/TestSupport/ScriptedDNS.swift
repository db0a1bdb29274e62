import Glibc

/// A name server on 127.0.0.1 that answers by a script; the test moves it with `serve()`, so it has no thread and nothing to wait for.
///
/// UDP only. Knows A, AAAA and CNAME.
public final class ScriptedDNS {
    public enum Reply {
        case addresses([String], ttl: UInt32)
        /// The name is another name's, whose addresses follow in the same answer.
        case alias(String, [String], ttl: UInt32, aliasTTL: UInt32)
        case code(ResponseCode)
        /// No answer at all.
        case silence
    }

    public enum ResponseCode: UInt8 {
        case serverFailure = 2
        case nonexistent = 3
        case refused = 5
    }

    public enum Kind: UInt16 {
        case a = 1
        case alias = 5
        case aaaa = 28
    }

    /// What to say about a name; families that are missing have no addresses.
    public var script: [String: [Kind: Reply]] = [:]
    /// Questions in the order of their arrival.
    public private(set) var questions: [(name: String, kind: Kind)] = []
    public let fd: Int32
    public let port: UInt16

    public var address: String { "127.0.0.1:\(port)" }

    public init() {
        fd = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var here = sockaddr_in()
        here.sin_family = sa_family_t(AF_INET)
        here.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        port = withUnsafeMutablePointer(to: &here) { [fd] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                precondition(fd >= 0 && bind(fd, $0, length) == 0 && getsockname(fd, $0, &length) == 0)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        _ = fcntl(fd, F_SETFL, O_NONBLOCK)
    }

    deinit { close(fd) }

    public func setAddresses(_ name: String, _ four: [String], _ six: [String] = [], ttl: UInt32) {
        script[name] = [.a: .addresses(four, ttl: ttl), .aaaa: .addresses(six, ttl: ttl)]
    }

    public func setBoth(_ name: String, _ reply: Reply) { script[name] = [.a: reply, .aaaa: reply] }

    public func count(_ name: String) -> Int { questions.filter { $0.name == name }.count }

    /// Answers everything that has arrived.
    public func serve() {
        var question = [UInt8](repeating: 0, count: 2_048)
        while true {
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let received = withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(fd, &question, question.count, 0, $0, &length) }
            }
            guard received > 0 else { return }
            guard let answer = answer(to: Array(question[..<received])) else { continue }
            withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = sendto(fd, answer, answer.count, 0, $0, length) }
            }
        }
    }

    private func answer(to message: [UInt8]) -> [UInt8]? {
        guard message.count > 12, let (name, end) = readName(message), end + 4 <= message.count else { return nil }
        let type = UInt16(message[end]) << 8 | UInt16(message[end + 1])
        guard let kind = Kind(rawValue: type) else { return nil }
        questions.append((name, kind))
        var code: UInt8 = 0
        var records: [[UInt8]] = []
        let pointer: [UInt8] = [0xC0, 12]
        switch script[name].map({ $0[kind] ?? .addresses([], ttl: 0) }) ?? .code(.nonexistent) {
        case .silence: return nil
        case .code(let response): code = response.rawValue
        case .addresses(let list, let ttl): records = list.map { record(owner: pointer, kind, ttl, bytes(of: $0, kind)) }
        case .alias(let target, let list, let ttl, let aliasTTL):
            let encoded = encode(target)
            records =
                [record(owner: pointer, .alias, aliasTTL, encoded)] + list.map { record(owner: encoded, kind, ttl, bytes(of: $0, kind)) }
        }
        var answer = Array(message[..<2]) + [0x81, 0x80 | code, 0, 1] + sixteen(records.count) + [0, 0, 0, 0]
        answer += message[12..<(end + 4)]
        return answer + records.flatMap { $0 }
    }

    private func readName(_ message: [UInt8]) -> (String, Int)? {
        var labels: [String] = []
        var index = 12
        while index < message.count, message[index] != 0 {
            let length = Int(message[index])
            guard length < 64, index + 1 + length <= message.count else { return nil }
            labels.append(String(decoding: message[(index + 1)..<(index + 1 + length)], as: UTF8.self).lowercased())
            index += 1 + length
        }
        return (labels.joined(separator: "."), index + 1)
    }

    private func encode(_ name: String) -> [UInt8] {
        name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    private func record(owner: [UInt8], _ kind: Kind, _ ttl: UInt32, _ data: [UInt8]) -> [UInt8] {
        let time = withUnsafeBytes(of: ttl.bigEndian) { Array($0) }
        return owner + sixteen(Int(kind.rawValue)) + [0, 1] + time + sixteen(data.count) + data
    }

    private func bytes(of address: String, _ kind: Kind) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: kind == .a ? 4 : 16)
        precondition(inet_pton(kind == .a ? AF_INET : AF_INET6, address, &bytes) == 1)
        return bytes
    }

    private func sixteen(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
}
