import CUring
import Glibc

/// Where connections go: to the address of `--connect`, or to that of the URL's host.
///
/// A name may have several addresses, of which not all are listened on (`localhost` is ::1 and 127.0.0.1): the first one that accepts
/// a connection is taken for the whole run.
func loadAddress(_ url: LoadURL, connect: String?) throws(LaunchFailure) -> SocketAddress {
    guard let text = connect else { return try firstThatAnswers(url.host, url.port) }
    do throws(AddressError) {
        if text.hasPrefix("unix:") {
            let path = try checkedUnixPath(String(text.dropFirst(5)))
            if let address = SocketAddress(unixPath: path) { return address }
        }
    } catch {
        throw LaunchFailure("--connect: '\(text)' \(error.sentence)")
    }
    let host: String
    let port: UInt16
    do throws(AddressError) {
        (host, port) = try splitHostAndPort(text)
    } catch {
        throw LaunchFailure("--connect: '\(text)' \(error.sentence)")
    }
    return try firstThatAnswers(host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host, port)
}

private func firstThatAnswers(_ host: String, _ port: UInt16) throws(LaunchFailure) -> SocketAddress {
    let addresses = try addresses(of: host, port)
    // With one there is no choice, and the run itself tells what is wrong with it.
    if addresses.count == 1 { return addresses[0] }
    return addresses.first(where: accepts) ?? addresses[0]
}

/// At least one.
private func addresses(of host: String, _ port: UInt16) throws(LaunchFailure) -> [SocketAddress] {
    if let address = SocketAddress(literal: host, port: port) { return [address] }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(host, nil, &hints, &found)
    defer { if let found { freeaddrinfo(found) } }
    var addresses: [SocketAddress] = []
    var entry = result == 0 ? found : nil
    while let present = entry {
        if let source = present.pointee.ai_addr, let address = SocketAddress(copyingAddressOf: source) { addresses.append(address.withPort(port)) }
        entry = present.pointee.ai_next
    }
    guard !addresses.isEmpty else { throw LaunchFailure("cannot find the address of \(host): \(String(cString: gai_strerror(result)))") }
    return addresses
}

/// Whether somebody takes a connection within a second.
private func accepts(_ address: SocketAddress) -> Bool {
    let made = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard made >= 0 else { return false }
    defer { close(made) }
    if address.connect(made) == 0 { return true }
    guard errno == EINPROGRESS else { return false }
    var waiting = pollfd(fd: made, events: Int16(POLLOUT), revents: 0)
    guard poll(&waiting, 1, 1_000) > 0 else { return false }
    var failure: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(made, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 && failure == 0
}
