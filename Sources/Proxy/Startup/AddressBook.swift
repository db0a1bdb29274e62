import Glibc

/// The addresses of all backends as they are known now, and the names that must be asked for.
///
/// Lives on the control thread. Literals and unix paths are known from the start; a name's last good answer stays until
/// a better one comes.
struct AddressBook {
    private var entries: [BackendAddresses] = []
    private var generation = 0
    /// Each `downstream` that has a name: its place among the entries, and the port to put into the answers.
    private var users: [String: [(place: Int, port: UInt16)]] = [:]

    init(_ settings: GlobalSettings, after previous: AddressBook? = nil) {
        generation = previous?.generation ?? 0
        for (server, serverSettings) in settings.servers.enumerated() {
            for (index, backend) in serverSettings.backends.enumerated() {
                // A `downstream` that is switched off keeps its place and has no address.
                let known = backend.enabled ? backend.literalAddress.map { [$0] } ?? [] : []
                if backend.enabled, case .name(let name) = backend.address {
                    users[name, default: []].append((entries.count, backend.port))
                }
                entries.append(BackendAddresses(server: server, backend: index, addresses: known))
            }
        }
    }

    /// Every name once.
    var names: [String] { users.keys.sorted() }

    /// Takes the answer for a name, ports aside; true when it differs from what was known. An empty answer changes nothing.
    mutating func learn(_ name: String, _ addresses: [SocketAddress]) -> Bool {
        guard !addresses.isEmpty else { return false }
        var changed = false
        for (place, port) in users[name] ?? [] {
            let answer = addresses.map { $0.withPort(port) }
            // The order of an answer says nothing: name servers turn it round on purpose.
            let known = entries[place].addresses
            if known.count == answer.count, answer.allSatisfy(known.contains) { continue }
            entries[place].addresses = answer
            changed = true
        }
        return changed
    }

    /// The table for the workers; each call makes a new generation.
    mutating func table() -> AddressTable {
        generation += 1
        return AddressTable(generation: generation, entries: entries)
    }
}

extension BackendSettings {
    /// The address when it is written as one; nil for a name.
    var literalAddress: SocketAddress? {
        switch address {
        case .ipv4(let literal), .ipv6(let literal): SocketAddress(literal: literal, port: port)
        case .unix(let path): SocketAddress(unixPath: path)
        case .name: nil
        }
    }
}
