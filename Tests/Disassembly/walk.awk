# Builds the graph of calls from the output of nm and objdump and walks it from the root; see run.
# Input files, in this order: cold functions, functions (start, size, symbol, demangled name), instructions.

function value(hex,    index_, result, digit) {
    result = 0
    for (index_ = 1; index_ <= length(hex); index_++) {
        digit = index("0123456789abcdef", substr(hex, index_, 1)) - 1
        result = result * 16 + digit
    }
    return result
}

# "specialized Worker<>.close(_:)" → "Worker.close"
function plain(name) {
    gsub(/(generic )?specialized |static |private |mutating /, "", name)
    sub(/\(.*/, "", name)
    gsub(/<[^>]*>/, "", name)
    return name
}

# What a request must not call: the Swift runtime and library, and the allocator.
function isForbidden(external) {
    if (external ~ /^\$s5Glibc5errno/) return 0
    return external ~ /^(swift_|_?\$[sS]|_swift)/ || external ~ /^(malloc|calloc|realloc|free|posix_memalign|aligned_alloc)$/
}

function note(caller, kind, what) { edges[caller] = edges[caller] kind " " what "\n" }

FNR == 1 { file++ }

file == 1 {
    split($0, parts, / *\| */)
    cold[parts[1]] = parts[2]
    next
}

file == 2 {
    start = value($1)
    ends[start] = start + value($2)
    name = $0
    sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", name)
    # Functions of equal code may share an address; the first name does.
    if (!(start in names)) names[start] = name
    next
}

/^ *[0-9a-f]+:/ {
    text = $0
    sub(/^ */, "", text)
    here = text
    sub(/:.*/, "", here)
    sub(/^[0-9a-f]+:[ \t]*/, "", text)
    isCall = text ~ /^call/
    isJump = text ~ /^jmp/
    # A function begins at its symbol; behind the end of one that has a size begins one without a name.
    at = -1
    if (text ~ /^[a-z]/) {
        if (isCall || isJump || hereIsSymbol) at = value(here)
    }
    if (hereIsSymbol) {
        current = at
        end = (current in ends) ? ends[current] : 0
        hereIsSymbol = 0
        lastTableLoad = -100
    } else if (isCall || isJump) {
        if (end > 0 && at >= end) current = -1
    }
    if (current >= 0 && (isCall || isJump)) {
        if (text ~ /\*/) {
            # A switch loads its distance from a table shortly before the jump; everything else goes through a pointer.
            if (isCall || instruction - lastTableLoad > 8) note(current, "pointer", text)
        } else if (match(text, /<[^>]*@plt>/)) {
            external = substr(text, RSTART + 1, RLENGTH - 6)
            if (isForbidden(external)) note(current, "forbidden", external)
        } else if (match(text, /0x[0-9a-f]+/) || match(text, /[ \t][0-9a-f]+ </)) {
            target = substr(text, RSTART, RLENGTH)
            gsub(/0x|[ \t<]/, "", target)
            to = value(target)
            if (to < current || to >= end) note(current, "call", to)
        }
    }
    instruction++
    if (text ~ /^movslq[ \t]+\(/) lastTableLoad = instruction
    next
}

/^[0-9a-f]+ <.*>:$/ { hereIsSymbol = 1 }

END {
    for (start in names)
        if (plain(names[start]) == "Worker.tick") {
            roots++
            queue[++last] = start
            reached[start] = 1
        }
    if (roots != 1) {
        print "disassembly: found " roots + 0 " functions Worker.tick, wanted one: is this a release build with symbols?"
        exit 2
    }
    for (first = 1; first <= last; first++) {
        function_ = queue[first]
        count = split(edges[function_], lines, "\n")
        for (line = 1; line < count; line++) {
            split(lines[line], words, " ")
            what = substr(lines[line], length(words[1]) + 2)
            if (words[1] != "call") {
                report(function_, words[1], what)
                continue
            }
            target = what + 0
            if (target in reached) continue
            reached[target] = 1
            from[target] = function_
            if (!(target in names)) {
                report(function_, "unnamed", sprintf("%x", target))
                continue
            }
            if (plain(names[target]) in cold) {
                used[plain(names[target])] = 1
                continue
            }
            queue[++last] = target
        }
    }
    for (name in cold)
        if (!(name in used)) {
            failures++
            print "disassembly: cold.txt names " name ", which no tick reaches: take it out"
        }
    if (verbose) for (first = 1; first <= last; first++) print "reached: " names[queue[first]]
    printf "disassembly: %d functions reached from a worker's tick, %d failures\n", last, failures
    exit failures > 0
}

function report(where, kind, what,    route, step) {
    if ((where, kind, what) in reported) return
    reported[where, kind, what] = 1
    failures++
    route = ""
    for (step = from[where]; step != ""; step = from[step]) route = " ← " plain(names[step]) route
    if (kind == "forbidden") print "disassembly: " names[where] " calls " what
    if (kind == "pointer") print "disassembly: " names[where] " calls through a pointer: " what
    if (kind == "unnamed") print "disassembly: " names[where] " calls a function without a name at " what
    if (route != "") print "    reached by" route
}
