/// Names by which backends learn about the client from its proxy: nobody else may say them.
///
/// Taken out of every request, every instance, on every connection, whether or not this proxy writes the field itself:
/// a backend that trusts one of them must never get it from a client. Trusted peers may say those that describe the
/// client; the names by which proxy and backend speak to one another are taken out of their requests too.
enum ManagedFields {
    /// What a trusted peer may say about the client that it serves. A `*` at the end stands for anything.
    static let aboutClients = ["Forwarded", "X-Forwarded-*", "X-Real-IP"] + aboutCertificates
    static let aboutCertificates = ["X-SSL-*", "Client-Cert", "Client-Cert-Chain"]
    /// What only this proxy says to its backends, and they to it.
    static let ownTalk = ["X-Internal-Redirect", "X-Redirected-Via", "X-Proxy-Capabilities"]

    /// A name with an underscore is never one that a proxy writes: trusted or not, it only looks like one to CGI.
    static func hasUnderscore(_ field: FieldRange, _ bytes: Span<UInt8>) -> Bool {
        guard field.name == .other else { return false }
        return firstByte(UInt8(ascii: "_"), bytes, from: Int(field.nameStart), to: Int(field.nameStart) &+ Int(field.nameLength))
            < Int(field.nameStart) &+ Int(field.nameLength)
    }
}
