/// Makes the contexts of one plan: one for each worker and section, because OpenSSL 3.0 takes locks on those that threads share.
struct TLSContexts {
    /// How many workers there are, and what they make the keys of tickets from.
    struct Provision: Sendable {
        var workers: Int
        var secret: TLSTicketSecret
    }

    let provision: Provision
    let arena: PlanArena

    /// - Parameters:
    ///   - materials: the server's own section, then those of its virtual hosts.
    ///   - ofHost: virtual host → place among the materials.
    ///   - sessions: where sessions without tickets are kept, of those sections that keep any; nil = nowhere.
    func listener(
        _ materials: [TLSMaterial], ofHost: [Int32], sessions: TLSSessionCache?
    ) throws(TLSComplaint) -> UnsafePointer<ListenerTLS> {
        var references: [TLSContext.Reference] = []
        for _ in 0..<provision.workers {
            for material in materials {
                let context = try TLSContext(material, secret: provision.secret, sessions: material.keepsSessions ? sessions : nil)
                references.append(keep(context))
            }
        }
        return arena.place(
            ListenerTLS(
                contexts: arena.array(references), contextCount: materials.count, contextOfHost: arena.array(ofHost),
                marks: arena.array(materials.map(Self.mark))))
    }

    func backend(
        _ material: TLSBackendMaterial, name: String, usesAddress: Bool, reusesSessions: Bool
    ) throws(TLSComplaint) -> BackendTLS {
        var references: [TLSContext.Reference] = []
        for _ in 0..<provision.workers { references.append(keep(try TLSContext(backend: material))) }
        var hasher = Hasher()
        hasher.combine(material)
        hasher.combine(name)
        hasher.combine(usesAddress)
        return BackendTLS(
            contexts: arena.array(references), name: arena.bytes(name), usesAddress: usesAddress, reusesSessions: reusesSessions,
            mark: UInt64(bitPattern: Int64(hasher.finalize())) | 1)
    }

    /// Connections keep what they need of a context; the plan keeps it for new ones.
    private func keep(_ context: TLSContext) -> TLSContext.Reference {
        arena.atEnd { withExtendedLifetime(context) {} }
        return context.reference
    }

    /// Equal where the same is asked of clients' certificates. Of authorities and lists of what is revoked it counts what the
    /// configuration names and not what is in it: a new file must not turn away clients that are connected.
    private static func mark(_ material: TLSMaterial) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(material.clientCertificates)
        if material.clientCertificates != .unwanted {
            hasher.combine(material.verifyDepth)
            hasher.combine(material.authorityPlaces)
            hasher.combine(material.revocationPlaces)
            hasher.combine(material.acceptsMissingRevocationList)
            hasher.combine(material.acceptsExpiredRevocationList)
        }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}

/// The sessions of each server, kept from plan to plan.
final class TLSSessionRegister: @unchecked Sendable {
    private struct Entry {
        let cache: TLSSessionCache
        let countMax: Int
        let seconds: Int
    }
    private var entries: [Int32: Entry] = [:]

    /// Lets go of what belonged to servers that are gone.
    func keepOnly(_ identities: [Int32]) { entries = entries.filter { identities.contains($0.key) } }

    /// The cache of a server, made anew when its size or its time has changed. Only the thread that compiles plans calls it.
    func cache(ofServer identity: Int32, countMax: Int, seconds: Int) -> TLSSessionCache {
        if let entry = entries[identity], entry.countMax == countMax, entry.seconds == seconds { return entry.cache }
        let cache = TLSSessionCache(countMax: countMax, seconds: seconds)
        entries[identity] = Entry(cache: cache, countMax: countMax, seconds: seconds)
        return cache
    }
}
