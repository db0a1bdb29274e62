/// What must hold between the settings of a section: checked when all of them are known, each error at the word that is to blame.

/// Fills in the low mark where it is not written, and refuses one above the high mark.
func finishWatermark(_ watermark: inout Watermark, _ section: ReadSection) {
    guard section.has("low-watermark") else { return watermark.lowBytes = watermark.highBytes / 4 }
    if watermark.lowBytes > watermark.highBytes {
        section.error(
            "low-watermark", "'low-watermark' (\(sizeText(watermark.lowBytes))) is above 'high-watermark' (\(sizeText(watermark.highBytes)))")
    }
}

/// Lets the kernel spare whom `write-timeout` spares: to its own timeout a shut window is no better than a dead peer.
func finishUserTimeout(_ tcp: inout SocketSettings, writeMilliseconds: Int, _ section: ReadSection) {
    guard section.has("tcp-user-timeout") else {
        return tcp.userTimeoutMilliseconds = writeMilliseconds == 0 ? 0 : max(tcp.userTimeoutMilliseconds, writeMilliseconds)
    }
    let user = tcp.userTimeoutMilliseconds
    if user > 0, writeMilliseconds == 0 || user < writeMilliseconds {
        section.warning(
            "tcp-user-timeout",
            "'tcp-user-timeout' (\(durationText(user))) ends a peer that takes nothing earlier than 'write-timeout' would"
                + (writeMilliseconds == 0 ? ", which is off" : " (\(durationText(writeMilliseconds)))"))
    }
}

func finishServer(_ draft: inout ServerDraft, _ section: ReadSection) {
    draft.settings.tls = draft.tls?.outcome
    finishAddresses(&draft, section)
    finishWatermark(&draft.settings.watermark, section)
    finishNoDelay(&draft)
    finishUserTimeout(&draft.settings.tcp, writeMilliseconds: draft.settings.timers.writeProgressMilliseconds, section)
    finishBackends(&draft, section)
    finishVirtualHosts(&draft, section)
    checkBalancing(draft.settings.balancing, section)
    finishProxyProtocol(draft.settings.proxyProtocol, section)
    finishAnswers(draft.settings.scope, section)
    let limits = draft.settings.limits
    if limits.requestLineBytesMax > limits.headBytesMax {
        let blamed = section.has("request-line-max") ? "request-line-max" : "request-head-max"
        section.error(
            blamed, "'request-line-max' (\(sizeText(limits.requestLineBytesMax))) is above 'request-head-max' (\(sizeText(limits.headBytesMax)))")
    }
    if draft.settings.splice.remainingBytesMin > draft.settings.splice.bodyBytesMin && section.has("splice-min-remaining") {
        section.warning("splice-min-remaining", "'splice-min-remaining' is above 'splice-min-body', which then decides nothing")
    }
    for word in ["splice-min-body", "splice-min-remaining"] where section.has(word) && !draft.settings.splice.enabled {
        section.warning(word, "'\(word)' has no effect: 'splice' is false")
    }
}

private func finishAddresses(_ draft: inout ServerDraft, _ section: ReadSection) {
    draft.settings.addresses = []
    for word in draft.addresses {
        let location = word.location == .none ? section.location(of: "addr") : word.location
        do throws(AddressError) {
            let address = try parseListenAddress(word.text, port: UInt16(draft.port))
            if draft.settings.addresses.contains(address) && !address.hasPortZero {
                section.reader.diagnostics.error(location, "'addr' names \(address) twice")
            }
            draft.settings.addresses.append(address)
        } catch {
            section.reader.diagnostics.error(location, "'addr' \(error.sentence)")
        }
    }
}

/// RProxy only ever switches Nagle's algorithm off, and what a listener has its connections inherit: one true is enough.
private func finishNoDelay(_ draft: inout ServerDraft) {
    let written = [draft.noDelayListener, draft.noDelayClient].compactMap { $0 }
    draft.settings.tcp.noDelay = written.isEmpty || written.contains(true)
}

private func finishBackends(_ draft: inout ServerDraft, _ section: ReadSection) {
    var untitledNames: [String: Int] = [:]
    for index in draft.backends.indices {
        let backend = draft.backends[index]
        if backend.untitled {
            untitledNames[backend.settings.name, default: 0] += 1
            if let count = untitledNames[backend.settings.name], count > 1 { draft.backends[index].settings.name += "#\(count)" }
        }
        if backend.pendingMilliseconds != nil || backend.pendingMax != nil {
            draft.backends[index].settings.pending = PendingSettings(
                timeoutMilliseconds: backend.pendingMilliseconds ?? draft.settings.pending.timeoutMilliseconds,
                countMax: backend.pendingMax ?? draft.settings.pending.countMax)
        }
    }
    draft.settings.backends = draft.backends.map(\.settings)
    let answersAll = draft.settings.scope.answers.answersAll
    if answersAll && draft.virtualHosts.isEmpty && !draft.backends.isEmpty {
        let word = section.has("redirect") ? "redirect" : "respond"
        section.warning(word, "'\(word)' answers every request of this 'server'; its '\(backendWord)' gets none")
    } else if draft.backends.isEmpty && (answersAll || !draft.virtualHosts.isEmpty) {
        return
    } else if draft.backends.isEmpty {
        section.error(backendWord, "this 'server' has no '\(backendWord)', so nowhere to send a request")
    } else if !draft.backends.contains(where: \.settings.enabled) {
        section.warning(backendWord, "every '\(backendWord)' of this 'server' is disabled; all requests will be answered 503")
    }
    // RProxy 1 always behaved as if it had a `headers` section.
    if draft.backends.first?.untitled == true && !section.has("headers") {
        draft.settings.forwarded.forwardedFor = .rproxy
        draft.settings.forwarded.certificate.pem = true
    }
}

private func checkBalancing(_ balancing: BalancingSettings, _ section: ReadSection) {
    guard balancing.method != .hash else { return }
    for word in ["hash-key", "hash-load-percent"] where section.has(word) {
        section.error(word, "'\(word)' needs 'lb-method = hash', not \(balancing.method.rawValue)")
    }
}
