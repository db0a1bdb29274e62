import Glibc

/// The prefixes of a set of rules as a compact trie: one walk along a path finds all rules whose prefix it begins with.
///
/// Each node holds the rules whose prefix ends there, in rising order. On the way along any path at most `depthMax` nodes
/// hold rules; longer prefixes than that are cut off, so that a walk fits into a fixed place.
struct PrefixTrie: BitwiseCopyable, @unchecked Sendable {
    static let depthMax = 16

    /// Half a line of the cache: a walk touches few lines of any of many trees.
    fileprivate struct Node: BitwiseCopyable {
        /// Bytes between the parent and this node: the first eight of them.
        var label: UInt64 = 0
        /// All of them, where the others stand in `labels`.
        var labelLength: UInt32 = 0
        var labelStart: UInt32 = 0
        /// The children stand side by side.
        var firstChild: UInt32 = 0
        var childCount: UInt32 = 0  // at most 256
        /// Where its rules stand in `lists`; -1 = it has none.
        var list: Int32 = -1
    }

    /// The root is the first; empty = no rule at all.
    private let nodes: UnsafeBufferPointer<Node>
    /// The first byte of each node's label, at the same place as the node.
    private let firstBytes: UnsafeBufferPointer<UInt8>
    private let labels: UnsafeBufferPointer<UInt8>
    /// Runs of rules in rising order, each with `listEnd` behind it.
    private let lists: UnsafeBufferPointer<Int32>

    private static let listEnd = Int32.max

    var isEmpty: Bool { nodes.count == 0 }

    /// The rules that a path may belong to, in the order of the file.
    struct Candidates {
        /// Place in `lists` of the next rule of each node, lent by whoever asks.
        fileprivate let cursors: UnsafeMutablePointer<Int32>
        fileprivate var count = 0
    }

    /// - Parameter room: for `depthMax` numbers, until the last candidate was taken.
    func candidates(_ path: UnsafeRawBufferPointer, in room: UnsafeMutablePointer<Int32>) -> Candidates {
        var found = Candidates(cursors: room)
        guard nodes.count > 0, let firstStart = firstBytes.baseAddress else { return found }
        var node = nodes[0]
        var position = 0
        while true {
            if node.list >= 0, found.count < Self.depthMax {
                found.cursors[found.count] = node.list
                found.count &+= 1
            }
            guard position < path.count, node.childCount > 0, let pathStart = path.baseAddress,
                let child = memchr(firstStart + Int(node.firstChild), Int32(path[position]), Int(node.childCount))
            else { return found }
            node = nodes[UnsafeRawPointer(firstStart).distance(to: UnsafeRawPointer(child))]
            let length = Int(node.labelLength)
            guard path.count &- position >= length, begins(pathStart + position, path.count &- position, node) else { return found }
            position &+= length
        }
    }

    /// Whether the `count` bytes of a path that are left begin with a node's label; they are as many at least.
    @inline(__always)
    private func begins(_ path: UnsafeRawPointer, _ count: Int, _ node: Node) -> Bool {
        let length = Int(node.labelLength)
        var first: UInt64 = 0
        if count >= 8 {
            first = path.loadUnaligned(as: UInt64.self)
        } else {
            memcpy(&first, path, count)
        }
        let mask = length >= 8 ? UInt64.max : (1 &<< UInt64(8 &* length)) &- 1
        guard (first ^ node.label).littleEndian & mask == 0 else { return false }
        return length <= 8 || memcmp(labels.baseAddress! + Int(node.labelStart), path + 8, length &- 8) == 0
    }

    /// Takes the first of the candidates that is before `limit`; -1 = there is none left.
    @inline(__always)
    func next(_ candidates: inout Candidates, before limit: Int32) -> Int32 {
        var lowest = limit
        var from = -1
        var index = 0
        while index < candidates.count {
            let rule = lists[Int(candidates.cursors[index])]
            if rule < lowest { (lowest, from) = (rule, index) }
            index &+= 1
        }
        if from < 0 { return -1 }
        candidates.cursors[from] &+= 1
        return lowest
    }
}

extension PrefixTrie {
    /// - Parameter prefixes: each with its rule, rules in rising order; a prefix may be empty.
    /// - Returns: also the rules whose prefix was cut off.
    static func compile(_ prefixes: [(prefix: [UInt8], rule: Int32)], in arena: PlanArena) -> (trie: PrefixTrie, cutOff: Set<Int32>) {
        var builder = TrieBuilder()
        for (prefix, rule) in prefixes { builder.add(prefix[...], rule) }
        return builder.flatten(listEnd: listEnd, in: arena)
    }

    fileprivate init(_ nodes: [Node], _ firstBytes: [UInt8], _ labels: [UInt8], _ lists: [Int32], in arena: PlanArena) {
        self.nodes = arena.array(nodes)
        self.firstBytes = arena.array(firstBytes)
        self.labels = arena.array(labels)
        self.lists = arena.array(lists)
    }
}

/// The trie while it grows; node 0 is the root.
private struct TrieBuilder {
    struct Node {
        var label: ArraySlice<UInt8> = []
        var children: [UInt8: Int] = [:]
        var rules: [Int32] = []
    }

    var nodes = [Node()]
    var isEmpty = true

    mutating func add(_ prefix: ArraySlice<UInt8>, _ rule: Int32) {
        isEmpty = false
        var at = 0
        var rest = prefix
        while let first = rest.first {
            guard let child = nodes[at].children[first] else {
                nodes.append(Node(label: rest))
                nodes[at].children[first] = nodes.count - 1
                at = nodes.count - 1
                rest = []
                break
            }
            let label = nodes[child].label
            let shared = zip(label, rest).prefix { $0 == $1 }.count
            at = shared < label.count ? split(child, of: at, after: shared) : child
            rest = rest.dropFirst(shared)
        }
        nodes[at].rules.append(rule)
    }

    /// Puts a node between `parent` and `child` that holds the first bytes of the child's label.
    private mutating func split(_ child: Int, of parent: Int, after count: Int) -> Int {
        let label = nodes[child].label
        let middle = nodes.count
        nodes.append(Node(label: label.prefix(count), children: [label[label.startIndex + count]: child]))
        nodes[child].label = label.dropFirst(count)
        nodes[parent].children[label[label.startIndex]] = middle
        return middle
    }

    func flatten(listEnd: Int32, in arena: PlanArena) -> (trie: PrefixTrie, cutOff: Set<Int32>) {
        guard !isEmpty else { return (PrefixTrie([], [], [], [], in: arena), []) }
        var rules = nodes.map(\.rules)
        var cutOff: Set<Int32> = []
        // Deep first, but the children of a node stand side by side: what one walk touches is near.
        var flat = [PrefixTrie.Node()]
        var firstBytes: [UInt8] = [0]
        var labels: [UInt8] = []
        var order: [(node: Int, place: Int)] = []
        var todo = [(node: 0, place: 0, depth: 0, home: 0)]
        while let (node, place, depth, home) = todo.popLast() {
            order.append((node, place))
            var ownDepth = depth
            var ownHome = home
            if !rules[node].isEmpty {
                if depth == PrefixTrie.depthMax {
                    cutOff.formUnion(rules[node])
                    rules[home] = (rules[home] + rules[node]).sorted()
                    rules[node] = []
                } else {
                    ownDepth += 1
                    ownHome = node
                }
            }
            let label = nodes[node].label
            let children = nodes[node].children.sorted { $0.key < $1.key }
            flat[place] = PrefixTrie.Node(
                label: firstEight(label), labelLength: UInt32(label.count), labelStart: UInt32(labels.count), firstChild: UInt32(flat.count),
                childCount: UInt32(children.count))
            labels += label.dropFirst(8)
            for (number, child) in children.enumerated().reversed() { todo.append((child.value, flat.count + number, ownDepth, ownHome)) }
            firstBytes += children.map(\.key)
            flat += repeatElement(PrefixTrie.Node(), count: children.count)
        }
        var lists: [Int32] = []
        for (node, place) in order where !rules[node].isEmpty {
            flat[place].list = Int32(lists.count)
            lists += rules[node] + [listEnd]
        }
        // An empty list of bytes would have no address.
        return (PrefixTrie(flat, firstBytes, labels.isEmpty ? [0] : labels, lists.isEmpty ? [listEnd] : lists, in: arena), cutOff)
    }
}

/// As they stand in memory, zeros behind what is shorter.
private func firstEight(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var word: UInt64 = 0
    withUnsafeMutableBytes(of: &word) { for (place, byte) in bytes.prefix(8).enumerated() { $0[place] = byte } }
    return word
}
