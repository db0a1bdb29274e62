/// What a `{TOKEN}` of a log format can stand for.
///
/// The first fifteen are RProxy's, with its meanings. RProxy calls the backend's side downstream and the client's side
/// upstream, hence `{DS_SPORT}` and `{US_SPORT}`; its `{US_HDR}:'name'` and `{DS_HDR}:'name'` take a field name and
/// are compiled apart.
enum LogField: UInt8, CaseIterable {
    case source, proxy, commonTime, userAgent, host, referer, method, protocolName, path, status
    case backendLocalPort, clientPort, ruleName
    // Ours.
    case hostName, isoTime, epochSeconds, query, target, requestLine, backendName, backendStatus
    case clientBytesReceived, clientBytesSent, bodyBytesSent, bodyBytesReceived
    case backendBytesReceived, backendBytesSent, splicedBytes
    case total, pending, firstByte, connect
    case reusedConnection, pipelined, requestNumber, retries, worker, batchSize, requestID, reason
    case tlsVersion, tlsCipher, tlsServerName, tlsResumed, clientSubject, clientSerial

    /// The word between the braces.
    var token: String {
        switch self {
        case .source: "SRC"
        case .proxy: "PROXY"
        case .commonTime: "TS"
        case .userAgent: "UA"
        case .host: "HOST"
        case .referer: "REF"
        case .method: "METH"
        case .protocolName: "PROTO"
        case .path: "URI"
        case .status: "STATUS"
        case .backendLocalPort: "DS_SPORT"
        case .clientPort: "US_SPORT"
        case .ruleName: "RULE"
        case .hostName: "HOSTNAME"
        case .isoTime: "TIME"
        case .epochSeconds: "EPOCH"
        case .query: "QUERY"
        case .target: "TARGET"
        case .requestLine: "REQUEST"
        case .backendName: "BACKEND"
        case .backendStatus: "BACKEND_STATUS"
        case .clientBytesReceived: "BYTES_IN"
        case .clientBytesSent: "BYTES_OUT"
        case .bodyBytesSent: "BODY_OUT"
        case .bodyBytesReceived: "BODY_IN"
        case .backendBytesReceived: "BACKEND_BYTES_IN"
        case .backendBytesSent: "BACKEND_BYTES_OUT"
        case .splicedBytes: "SPLICED"
        case .total: "DURATION"
        case .pending: "WAIT"
        case .firstByte: "FIRST_BYTE"
        case .connect: "CONNECT"
        case .reusedConnection: "REUSED"
        case .pipelined: "PIPELINED"
        case .requestNumber: "REQUEST_NUMBER"
        case .retries: "RETRIES"
        case .worker: "WORKER"
        case .batchSize: "BATCH"
        case .requestID: "REQUEST_ID"
        case .reason: "REASON"
        case .tlsVersion: "TLS_VERSION"
        case .tlsCipher: "TLS_CIPHER"
        case .tlsServerName: "TLS_SNI"
        case .tlsResumed: "TLS_RESUMED"
        case .clientSubject: "CLIENT_SUBJECT"
        case .clientSerial: "CLIENT_SERIAL"
        }
    }

    /// One sentence for the manual.
    var meaning: String {
        switch self {
        case .source: "address of the client"
        case .proxy: "host:port of the backend, as configured"
        case .commonTime: "local time at the end of the exchange, as 27/Aug/2025:13:05:59 +0200"
        case .userAgent: "User-Agent of the request"
        case .host: "host that was asked for, with its port if one was said"
        case .referer: "Referer of the request"
        case .method: "method"
        case .protocolName: "protocol of the client, as HTTP/1.1"
        case .path: "path, without the query"
        case .status: "status that the client was sent"
        case .backendLocalPort: "local port of the backend connection"
        case .clientPort: "port of the client"
        case .ruleName: "name of the rule that matched"
        case .hostName: "host that was asked for, without port"
        case .isoTime: "local time at the end of the exchange, as 2025-08-27T13:05:59.123+02:00"
        case .epochSeconds: "time at the end of the exchange, in seconds since 1970 with milliseconds"
        case .query: "query, without its question mark"
        case .target: "target of the request, as received"
        case .requestLine: "method, target and protocol"
        case .backendName: "name of the backend's section"
        case .backendStatus: "status that the backend sent"
        case .clientBytesReceived: "bytes received from the client, head and body"
        case .clientBytesSent: "bytes sent to the client, head and body"
        case .bodyBytesSent: "bytes of the answer's body"
        case .bodyBytesReceived: "bytes of the request's body"
        case .backendBytesReceived: "bytes received from the backend"
        case .backendBytesSent: "bytes sent to the backend"
        case .splicedBytes: "body bytes that were moved by splice"
        case .total: "duration of the exchange, in milliseconds"
        case .pending: "wait for a free backend connection, in milliseconds"
        case .firstByte: "from the request sent to the first byte of the backend's answer, in milliseconds"
        case .connect: "time to connect to the backend, in milliseconds"
        case .reusedConnection: "1 when the backend connection had served before, 0 when it was new"
        case .pipelined: "1 when the request shared its backend connection with others, else 0"
        case .requestNumber: "number of the request on its client connection, from 1"
        case .retries: "how often the request was sent again"
        case .worker: "index of the worker"
        case .batchSize: "requests that arrived in the same tick"
        case .requestID: "identifier of the request: 16 hexadecimal digits, or what a trusted peer called it"
        case .reason: "why the exchange failed, in a word"
        case .tlsVersion: "protocol of the client's encrypted connection, as TLSv1.3"
        case .tlsCipher: "its cipher, as OpenSSL calls it"
        case .tlsServerName: "name that the client connected to (SNI)"
        case .tlsResumed: "1 when the connection resumed a session, 0 when it began one"
        case .clientSubject: "whom the client's certificate names, as /C=…/CN=…"
        case .clientSerial: "serial number of the client's certificate, hexadecimal"
        }
    }
}

/// The two tokens that name a header field: RProxy's words, our sides.
enum LogHeaderToken: String, CaseIterable {
    case request = "US_HDR"
    case response = "DS_HDR"

    /// One sentence for the manual.
    var meaning: String {
        switch self {
        case .request: "the named field of the request"
        case .response: "the named field of the backend's answer"
        }
    }
}

extension LogFormat {
    /// The ready format that a person reads: the combined format of Apache and nginx.
    static let combinedText = #"{SRC} - - [{TS}] "{REQUEST}" {STATUS} {BODY_OUT} "{REF}" "{UA}""#

    /// Every token with one sentence, for the manual.
    static var manual: [(token: String, meaning: String)] {
        LogField.allCases.map { ("{\($0.token)}", $0.meaning) }
            + LogHeaderToken.allCases.map { ("{\($0.rawValue)}:'name'", $0.meaning) }
    }

    /// Members of an object of the ready format `json`, in order.
    static let jsonMembers: [(key: String, field: LogField)] = [
        ("time", .isoTime), ("id", .requestID), ("client", .source), ("client_port", .clientPort),
        ("method", .method), ("host", .host), ("path", .path), ("query", .query), ("protocol", .protocolName),
        ("status", .status), ("reason", .reason), ("referer", .referer), ("user_agent", .userAgent),
        ("rule", .ruleName), ("backend", .backendName), ("backend_address", .proxy),
        ("backend_status", .backendStatus), ("backend_reused", .reusedConnection), ("retries", .retries),
        ("bytes_in", .clientBytesReceived), ("bytes_out", .clientBytesSent), ("body_in", .bodyBytesReceived),
        ("body_out", .bodyBytesSent), ("spliced", .splicedBytes),
        ("duration_ms", .total), ("wait_ms", .pending), ("connect_ms", .connect), ("first_byte_ms", .firstByte),
        ("request_number", .requestNumber), ("worker", .worker), ("batch", .batchSize), ("pipelined", .pipelined),
        ("tls_version", .tlsVersion), ("tls_cipher", .tlsCipher), ("tls_sni", .tlsServerName), ("tls_resumed", .tlsResumed),
        ("client_subject", .clientSubject), ("client_serial", .clientSerial),
    ]
}

extension LogLine {
    /// Prints one field of a record. Fields of heads that were captured are printed by their place instead.
    @inline(__always)
    mutating func field(_ field: LogField, of record: borrowing LogRecord, _ clock: inout LogClock) {
        switch field {
        case .source: address(record.client)
        case .proxy: text(record.backendAddress)
        case .commonTime: commonTime(record.endNanoseconds, &clock)
        case .userAgent, .referer: missing()  // compiled to captured fields
        case .host: text(record.host)
        case .hostName: text(record.hostName)
        case .method: text(record.method)
        case .protocolName: text(record.protocolName)
        case .path: text(record.path, bytesMax: Self.targetBytesMax)
        case .status: numberOrMissing(UInt64(record.status))
        case .backendLocalPort: numberOrMissing(UInt64(record.backendLocalPort))
        case .clientPort: numberOrMissing(UInt64(record.client?.pointee.port ?? 0))
        case .ruleName: text(record.ruleName)
        case .isoTime: isoTime(record.endNanoseconds, &clock)
        case .epochSeconds: thousandths(record.endNanoseconds / 1_000_000)
        case .query: text(record.query, bytesMax: Self.targetBytesMax)
        case .target: text(record.target, bytesMax: Self.targetBytesMax)
        case .requestLine: requestLine(record)
        case .backendName: text(record.backendName)
        case .backendStatus: numberOrMissing(UInt64(record.backendStatus))
        case .clientBytesReceived: number(record.clientBytesReceived)
        case .clientBytesSent: number(record.clientBytesSent)
        case .bodyBytesSent: number(record.bodyBytesSent)
        case .bodyBytesReceived: number(record.bodyBytesReceived)
        case .backendBytesReceived: number(record.backendBytesReceived)
        case .backendBytesSent: number(record.backendBytesSent)
        case .splicedBytes: number(record.splicedBytes)
        case .total: milliseconds(record.totalNanoseconds)
        case .pending: milliseconds(record.pendingNanoseconds)
        case .firstByte: milliseconds(record.firstByteNanoseconds)
        case .connect: milliseconds(record.connectNanoseconds)
        case .reusedConnection: record.usedBackend ? flag(record.reusedBackendConnection) : missing()
        case .pipelined: flag(record.pipelined)
        case .requestNumber: number(UInt64(record.requestNumber))
        case .retries: number(UInt64(record.retries))
        case .worker: number(UInt64(record.workerIndex))
        case .batchSize: number(UInt64(record.batchSize))
        case .requestID: record.peerRequestID.isAbsent ? hexadecimal(record.requestID) : text(record.peerRequestID)
        case .reason: word(record.reason)
        case .tlsVersion: text(record.tlsVersion)
        case .tlsCipher: text(record.tlsCipher)
        case .tlsServerName: text(record.tlsServerName)
        case .tlsResumed: record.tlsVersion.isAbsent ? missing() : flag(record.tlsResumed)
        case .clientSubject: text(record.clientSubject)
        case .clientSerial: text(record.clientSerial)
        }
    }

    private mutating func numberOrMissing(_ value: UInt64) { value == 0 ? missing() : number(value) }

    /// What the client asked, in one value; a request that could not be read at all is missing.
    private mutating func requestLine(_ record: borrowing LogRecord) {
        if record.method.isAbsent, record.target.isAbsent { return missing() }
        text(record.method)
        byte(UInt8(ascii: " "))
        text(record.target, bytesMax: Self.targetBytesMax)
        byte(UInt8(ascii: " "))
        text(record.protocolName)
    }
}
