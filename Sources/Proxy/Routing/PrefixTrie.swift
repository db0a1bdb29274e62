import Glibc

/// The prefixes of a set of rules as a compact trie: one walk along a path finds all rules whose prefix it begins with.
///
/// Each node holds the rules whose prefix ends there, in rising order. On the way along any path at most `depthMax` nodes
/// hold rules; longer prefixes than that are cut off, so that a walk fits into a fixed place.
struct PrefixTrie: BitwiseCopyable, @unchecked Sendable {
    static let depthMax = 16

    fileprivate struct Node: BitwiseCopyable {
        /// Bytes between the parent and this node.
        var labelStart: UInt32 = 0
        var labelLength: UInt32 = 0
        /// The children stand side by side.
        var firstChild: UInt32 = 0
        var childCount: UInt32 = 0
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
        guard nodes.count > 0, let labelStart = labels.baseAddress, let firstStart = firstBytes.baseAddress else { return found }
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
            guard path.count &- position >= length, memcmp(labelStart + Int(node.labelStart), pathStart + position, length) == 0 else {
                return found
            }
            position &+= length
        }
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
        // Broad first: the children of a node stand side by side.
        var order = [(node: 0, depth: 0, home: 0)]
        var flat: [PrefixTrie.Node] = []
        var firstBytes: [UInt8] = []
        var labels: [UInt8] = []
        var next = 0
        while next < order.count {
            let (node, depth, home) = order[next]
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
            flat.append(
                PrefixTrie.Node(
                    labelStart: UInt32(labels.count), labelLength: UInt32(label.count), firstChild: UInt32(order.count),
                    childCount: UInt32(children.count)))
            firstBytes.append(label.first ?? 0)
            labels += label
            for child in children { order.append((child.value, ownDepth, ownHome)) }
            next += 1
        }
        var lists: [Int32] = []
        for (index, entry) in order.enumerated() where !rules[entry.node].isEmpty {
            flat[index].list = Int32(lists.count)
            lists += rules[entry.node] + [listEnd]
        }
        // An empty list of bytes would have no address.
        return (PrefixTrie(flat, firstBytes, labels.isEmpty ? [0] : labels, lists.isEmpty ? [listEnd] : lists, in: arena), cutOff)
    }
}
