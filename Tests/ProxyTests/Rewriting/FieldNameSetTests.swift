import Testing

@testable import Proxy

@Suite("Sets of field names")
struct FieldNameSetTests {
    private let arena = PlanArena()
    private var managed: FieldNameSet { FieldNameSet(ManagedFields.aboutClients + ManagedFields.ownTalk, in: arena) }

    @Test(
        "managed names are found in every spelling that a backend could take for them",
        arguments: [
            "X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Forwarded_For", "X-FORWARDED-PROTO", "X-Forwarded-Anything", "X_Forwarded_Anything",
            "Forwarded", "X-Real-IP", "x_real_ip", "X-SSL-Subject", "X-SSL-Sha1", "x_ssl_sha1", "X-Internal-Redirect", "X-Redirected-Via", "X-Proxy-Capabilities",
            "x-proxy_capabilities", "Client-Cert", "CLIENT_CERT", "Client-Cert-Chain",
        ])
    func found(name: String) { #expect(managed.contains(name)) }

    @Test(
        "others are not", arguments: ["X-Forwarded", "XForwardedFor", "X-Real-IP2", "X-SSL", "Forwardedx", "Client", "Client-Certs", "Host", "Accept", "X-Forwarder", "x", "_", "Traceparent"])
    func others(name: String) { #expect(!managed.contains(name)) }

    @Test("every name of the table can be in a set, alone")
    func table() {
        let names = HeaderName.allCases.filter { $0 != .other }.map { "\($0.text)" }
        for name in names {
            let set = FieldNameSet([name.uppercased()], in: arena)
            #expect(names.filter { set.contains($0) } == [name])
            #expect(set.contains(name.replacing("-", with: "_")))
        }
        #expect(names.filter { FieldNameSet.empty.contains($0) } == [])
        #expect(HeaderName.allCases.count <= 128)
    }

    @Test("a name may have any first letter")
    func letters() {
        for name in ["@", "1a", "~x", "Zed", "!"] {
            let set = FieldNameSet([name], in: arena)
            #expect(set.contains(name) && set.contains(name.lowercased()) && !set.contains(name + "x"))
        }
    }
}
