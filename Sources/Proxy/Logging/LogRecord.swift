/// Everything that a line of a log can tell about one exchange.
///
/// Trivial, so that a worker fills one on its stack when an exchange ends. The slices and the address are borrowed and
/// need to be valid only while the line is printed. What is not known stays at its default and is printed as `-`.
struct LogRecord: BitwiseCopyable {
    /// How many fields of a request, and of an answer, one log can ask for.
    static let capturedMax = 8
    /// A duration that was never measured, because the exchange did not get that far.
    static let notMeasured: Int64 = -1

    // Who.
    var client: UnsafePointer<SocketAddress>?
    /// Name of the section of the backend that served the exchange.
    var backendName = ByteSlice.none
    /// `host:port` of the backend as the configuration wrote it.
    var backendAddress = ByteSlice.none
    /// Port of our end of the backend connection; 0 = none or a unix socket.
    var backendLocalPort: UInt16 = 0
    var ruleName = ByteSlice.none
    var workerIndex: UInt32 = 0
    /// Number that nothing else in this process has; printed as 16 hexadecimal digits.
    var requestID: UInt64 = 0
    /// What a trusted peer called the request; printed in place of the number.
    var peerRequestID = ByteSlice.none

    // How the client's connection is encrypted; all absent where it is not.
    /// `TLSv1.3` and its like.
    var tlsVersion = ByteSlice.none
    /// OpenSSL's name of the cipher.
    var tlsCipher = ByteSlice.none
    /// The name that the client gave in its first message, as it gave it; absent when it gave none.
    var tlsServerName = ByteSlice.none
    /// A session was resumed; meaningful only where there is a version.
    var tlsResumed = false
    /// Of the client's certificate in the slash form of X-SSL-Subject; absent without a certificate.
    var clientSubject = ByteSlice.none
    /// As X-SSL-Serial.
    var clientSerial = ByteSlice.none

    // When: wall clock in nanoseconds since 1970, durations in nanoseconds.
    var startNanoseconds: UInt64 = 0
    var endNanoseconds: UInt64 = 0
    var totalNanoseconds = notMeasured
    /// Time in the queue for a free backend connection.
    var pendingNanoseconds = notMeasured
    /// From the request sent to the first byte of the answer.
    var firstByteNanoseconds = notMeasured
    var connectNanoseconds = notMeasured

    // What was asked.
    var method = ByteSlice.none
    /// The target as received: path with query, or absolute.
    var target = ByteSlice.none
    var path = ByteSlice.none
    /// Without its question mark; absent when there was none.
    var query = ByteSlice.none
    var host = ByteSlice.none
    /// The same without its port.
    var hostName = ByteSlice.none
    /// `HTTP/1.1` and its like, as the client wrote it.
    var protocolName = ByteSlice.none

    // What was answered; a status of 0 = none.
    var status: UInt16 = 0
    var backendStatus: UInt16 = 0
    /// Why it went wrong, in one word; `-` = it did not.
    var reason: StaticString = "-"

    // How much: heads and bodies as they went over each connection.
    var clientBytesReceived: UInt64 = 0
    var clientBytesSent: UInt64 = 0
    /// Bytes of the answer's body alone.
    var bodyBytesSent: UInt64 = 0
    /// Bytes of the request's body alone.
    var bodyBytesReceived: UInt64 = 0
    var backendBytesReceived: UInt64 = 0
    var backendBytesSent: UInt64 = 0
    var splicedBytes: UInt64 = 0

    // How.
    /// Whether the backend connection had served before; meaningful only where `usedBackend` is true.
    var reusedBackendConnection = false
    var usedBackend = false
    /// Whether the request shared its backend connection with others in flight.
    var pipelined = false
    /// Which request of its client connection this was, from 1.
    var requestNumber: UInt32 = 0
    var retries: UInt32 = 0
    /// How many requests arrived in the same tick.
    var batchSize: UInt32 = 0

    /// Values of the fields that `LogFormat.requestFieldNames` asks for, in its order.
    var capturedRequestFields = InlineArray<8, ByteSlice>(repeating: .none)
    /// Values of the fields that `LogFormat.responseFieldNames` asks for, in its order.
    var capturedResponseFields = InlineArray<8, ByteSlice>(repeating: .none)
}
