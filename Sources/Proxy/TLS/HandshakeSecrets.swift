import COpenSSL
import Glibc

/// Listens in on the handshake of a client for what its records will need afterwards: the secrets of both directions with TLS 1.3,
/// and how many records have gone under the newest keys.
///
/// OpenSSL offers the secrets in the form of a key log and nowhere else. They go from there into the stream in progress, and
/// nowhere else.
enum HandshakeSecrets {
    static func install(in context: OpaquePointer) {
        SSL_CTX_set_keylog_callback(context) { ssl, line in
            guard let line, let records = TLSContextState.home(of: ssl)?.pointee.records else { return }
            // From here on that side uses these keys.
            if let digits = HandshakeSecrets.secret(in: line, labelled: "SERVER_TRAFFIC_SECRET_0 ") {
                records.pointee.sending.secret.read(hexadecimal: digits)
                records.pointee.sending.sequence = 0
            } else if let digits = HandshakeSecrets.secret(in: line, labelled: "CLIENT_TRAFFIC_SECRET_0 ") {
                records.pointee.receiving.secret.read(hexadecimal: digits)
                records.pointee.receiving.sequence = 0
            }
        }
        SSL_CTX_set_msg_callback(context) { isWritten, _, type, bytes, count, ssl, _ in
            // The head of each record, before it is encrypted or decrypted.
            guard type == SSL3_RT_HEADER, count >= 1, let bytes, let records = TLSContextState.home(of: ssl)?.pointee.records else { return }
            // With TLS 1.2 new keys follow a change of cipher.
            let isChange = bytes.load(as: UInt8.self) == RecordType.changeCipherSpec
            if isWritten == 1 {
                records.pointee.sending.sequence = isChange ? 0 : records.pointee.sending.sequence &+ 1
            } else {
                records.pointee.receiving.sequence = isChange ? 0 : records.pointee.receiving.sequence &+ 1
            }
        }
    }

    /// The digits behind label and client random; nil for other lines.
    private static func secret(in line: UnsafePointer<CChar>, labelled label: StaticString) -> UnsafePointer<CChar>? {
        let start = UnsafeRawPointer(label.utf8Start).assumingMemoryBound(to: CChar.self)
        guard strncmp(line, start, label.utf8CodeUnitCount) == 0, let space = strrchr(line, 0x20) else { return nil }
        return UnsafePointer(space) + 1
    }
}
