import CPCRE2

/// A regular expression (PCRE2) over bytes: searched for anywhere in its subject, with a limit on the steps of one search.
///
/// Compiled once, to machine code where the system allows that; read-only after that and shared by all workers, each of
/// which brings a `PatternScratch`. Lives as long as the arena it was compiled into.
struct Pattern: BitwiseCopyable, @unchecked Sendable {
    /// Groups in parentheses that one pattern may have.
    static let groupsMax = 99

    private let code: OpaquePointer
    /// Groups in parentheses, without the whole.
    let groupCount: Int32

    /// What is wrong with a pattern, as the rest of a sentence that begins with where it stands.
    struct Complaint: Error, Equatable {
        var sentence: String
    }

    /// Compiles into an arena, which gives the code back when it ends. Allocates; not for the path of requests.
    init(_ text: String, in arena: PlanArena) throws(Complaint) {
        let code = try Self.compile(text)
        nonisolated(unsafe) let owned = code
        arena.atEnd { pcre2_code_free_8(owned) }
        // Where machine code is forbidden this fails, and patterns are interpreted.
        _ = pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
        self.code = code
        groupCount = Self.groups(of: code)
    }

    /// What is wrong with a text as a pattern; nil = nothing.
    static func complaint(about text: String) -> Complaint? {
        do throws(Complaint) {
            pcre2_code_free_8(try compile(text))
            return nil
        } catch {
            return error
        }
    }

    /// How many groups in parentheses a text has as a pattern; 0 where it is none.
    static func groupCount(of text: String) -> Int {
        guard let code = try? compile(text) else { return 0 }
        defer { pcre2_code_free_8(code) }
        return Int(groups(of: code))
    }

    private static func compile(_ text: String) throws(Complaint) -> OpaquePointer {
        var error: Int32 = 0
        var offset = 0
        let bytes = Array(text.utf8)
        // The subject is ASCII without ends of lines; patterns may not switch to another view of it.
        let options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY
        guard let code = pcre2_compile_8(bytes, bytes.count, options, &error, &offset, nil) else {
            var message = [UInt8](repeating: 0, count: 256)
            let length = pcre2_get_error_message_8(error, &message, message.count)
            let reason = length > 0 ? String(decoding: message[..<Int(length)], as: UTF8.self) : "error \(error)"
            throw Complaint(sentence: "is no regular expression: \(reason), at character \(offset + 1)")
        }
        if groups(of: code) > groupsMax {
            pcre2_code_free_8(code)
            throw Complaint(sentence: "has more than \(groupsMax) groups in parentheses")
        }
        return code
    }

    private static func groups(of code: OpaquePointer) -> Int32 {
        var count: UInt32 = 0
        _ = pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_CAPTURECOUNT), &count)
        return Int32(clamping: count)
    }

    enum Outcome: Equatable {
        /// `group` tells where.
        case found
        case notFound
        /// Gave up at the limit of steps, or for want of memory: nothing is known.
        case gaveUp
    }

    /// Searches `subject` for the pattern; the groups are in `scratch` until its next use.
    @inline(__always)
    func search(_ subject: UnsafeRawBufferPointer, _ scratch: borrowing PatternScratch) -> Outcome {
        // An empty buffer may have no address, which PCRE2 takes for a mistake.
        let start = subject.baseAddress.map { $0.assumingMemoryBound(to: UInt8.self) } ?? emptySubject
        let result = pcre2_match_8(code, start, subject.count, 0, 0, scratch.matchData, scratch.context)
        if result >= 0 { return .found }
        return result == PCRE2_ERROR_NOMATCH ? .notFound : .gaveUp
    }

    /// Where a group stands in the subject after this pattern was found; 0 is the whole, nil = the group took no part.
    @inline(__always)
    func group(_ number: Int, _ scratch: borrowing PatternScratch) -> Range<Int>? {
        guard number >= 0, number <= Int(groupCount), let offsets = pcre2_get_ovector_pointer_8(scratch.matchData) else { return nil }
        let start = offsets[2 &* number]
        let end = offsets[2 &* number &+ 1]
        // Both are -1 for a group without part; `\K` can turn the ends of the whole around.
        return start < 0 || start > end ? nil : start..<end
    }
}

/// Patterns of one plan by their text: hosts that are made from one template have the same ones.
final class SharedPatterns {
    private let arena: PlanArena
    private var known: [String: Pattern] = [:]

    init(in arena: PlanArena) { self.arena = arena }

    func pattern(_ text: String) throws(Pattern.Complaint) -> Pattern {
        if let pattern = known[text] { return pattern }
        let pattern = try Pattern(text, in: arena)
        known[text] = pattern
        return pattern
    }
}

private var emptySubject: UnsafePointer<UInt8> { StaticString("").utf8Start }

/// What one thread needs to search for patterns: where groups are noted, room for the search, the limit of its steps.
struct PatternScratch: ~Copyable {
    fileprivate let matchData: OpaquePointer
    fileprivate let context: OpaquePointer
    private let stack: OpaquePointer?
    /// For the walk along a path that finds which patterns are worth a search.
    let cursors: UnsafeMutablePointer<Int32>

    /// Room for the search itself, per worker; touched only as far as patterns nest.
    private static let stackBytesMax = 256 * 1024
    /// Only where machine code is forbidden: what the interpreter may take from the heap, in KiB.
    private static let heapKibibytesMax: UInt32 = 4096

    /// - Parameter stepsMax: of one search; PCRE2 counts backtracks, some nanoseconds each.
    init(stepsMax: Int) {
        guard let data = pcre2_match_data_create_8(UInt32(Pattern.groupsMax + 1), nil), let context = pcre2_match_context_create_8(nil) else {
            fatalError("no memory for the search of patterns")
        }
        matchData = data
        self.context = context
        cursors = .allocate(capacity: PrefixTrie.depthMax)
        stack = pcre2_jit_stack_create_8(32 * 1024, Self.stackBytesMax, nil)
        if let stack { pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack)) }
        pcre2_set_heap_limit_8(context, Self.heapKibibytesMax)
        setStepsMax(stepsMax)
    }

    /// For the searches from now on.
    func setStepsMax(_ stepsMax: Int) { pcre2_set_match_limit_8(context, UInt32(clamping: stepsMax)) }

    deinit {
        pcre2_match_data_free_8(matchData)
        pcre2_match_context_free_8(context)
        if let stack { pcre2_jit_stack_free_8(stack) }
        cursors.deallocate()
    }
}
