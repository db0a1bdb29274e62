/// What a completion belongs to: the first byte of its token.
enum OperationKind: UInt8 {
    case none, wake, accept
    case clientReceive, clientSend, clientWritable, clientReadable
    case backendConnect, backendReceive, backendSend, backendWritable, backendReadable
    case logWrite
}

/// The 64-bit name of an operation in flight: kind, generation and slot.
///
/// The generation tells a late completion of a slot's former owner from one of its present owner.
struct OperationToken: Equatable {
    let raw: UInt64

    init(raw: UInt64) { self.raw = raw }

    init(_ kind: OperationKind, slot: UInt32, generation: UInt32 = 0) {
        raw = UInt64(kind.rawValue) &<< 56 | UInt64(generation & 0xFF_FFFF) &<< 32 | UInt64(slot)
    }

    var kind: OperationKind { OperationKind(rawValue: UInt8(truncatingIfNeeded: raw &>> 56)) ?? .none }
    var slot: UInt32 { UInt32(truncatingIfNeeded: raw) }
    var generation: UInt32 { UInt32(truncatingIfNeeded: raw &>> 32) & 0xFF_FFFF }
}
