extension GlobalSettings {
    /// The settings of `weir --listen … --to …`, a reverse proxy without a file.
    ///
    /// `listen` takes HOST:PORT, [v6]:PORT, :PORT (every IPv4 address) and unix:/path; `to` the same, and names, and :PORT is on this machine.
    static func quick(listen: [String], to backends: [String]) -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        var diagnostics = DiagnosticList()
        var server = ServerSettings()
        server.forwarded = ForwardingSettings(forwardedFor: .append, proto: true, host: true)
        server.accessLog.enabled = true
        server.accessLog.output = .stdout
        for text in listen {
            do throws(AddressError) {
                let address = try quickListenAddress(text)
                if server.addresses.contains(address) && !address.hasPortZero { throw AddressError("is given twice") }
                server.addresses.append(address)
            } catch {
                diagnostics.error(SourceLocation(file: "--listen"), "'\(text)' \(error.sentence)")
            }
        }
        for text in backends {
            do throws(AddressError) {
                let backend = try quickBackend(text)
                if server.backends.contains(where: { $0.name == backend.name }) { throw AddressError("is given twice") }
                server.backends.append(backend)
            } catch {
                diagnostics.error(SourceLocation(file: "--to"), "'\(text)' \(error.sentence)")
            }
        }
        if listen.isEmpty { diagnostics.error(SourceLocation(file: "--listen"), "no address to listen on") }
        if backends.isEmpty { diagnostics.error(SourceLocation(file: "--to"), "nowhere to send requests") }
        var settings = GlobalSettings()
        settings.servers = [server]
        return (diagnostics.hasErrors ? nil : settings, diagnostics.all)
    }

    private static func quickListenAddress(_ text: String) throws(AddressError) -> ListenAddress {
        if text.hasPrefix("unix:") { return .unix(try checkedUnixPath(String(text.dropFirst(5)))) }
        let (host, port) = try splitHostAndPort(text)
        switch host.lowercased() {
        case "": return .ipv4("0.0.0.0", port: port)
        case "localhost": return .ipv4("127.0.0.1", port: port)
        default: return try parseListenAddress(host, port: port)
        }
    }

    private static func quickBackend(_ text: String) throws(AddressError) -> BackendSettings {
        var backend = BackendSettings()
        backend.name = text
        backend.connections = 0
        backend.connectionsMax = 256
        if text.hasPrefix("unix:") {
            backend.address = .unix(try checkedUnixPath(String(text.dropFirst(5))))
            return backend
        }
        let (host, port) = try splitHostAndPort(text)
        if port == 0 { throw AddressError("has the port 0; a backend has a port of 1 … 65535") }
        backend.address = host.isEmpty ? .ipv4("127.0.0.1") : try parseAddress(host)
        backend.port = port
        return backend
    }
}
