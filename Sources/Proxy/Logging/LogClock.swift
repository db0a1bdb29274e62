import Glibc

/// Times as text, printed once a second and copied from then on.
///
/// The rules of the local time zone are asked once a minute; in between only the two digits of the second change.
/// Belongs to one thread.
struct LogClock: BitwiseCopyable {
    private var second: Int = .min
    private var minute: Int = .min
    /// `27/Aug/2025:13:05:59 +0200`
    private var common = InlineArray<26, UInt8>(repeating: 0x20)
    /// `2025-08-27T13:05:59`
    private var iso = InlineArray<19, UInt8>(repeating: 0x20)
    /// `+02:00`
    private var isoOffset = InlineArray<6, UInt8>(repeating: 0x20)
    /// `Aug 27 13:05:59`
    private var syslog = InlineArray<15, UInt8>(repeating: 0x20)

    static let commonBytes = 26
    static let isoBytes = 29
    static let syslogBytes = 15

    /// Writes `27/Aug/2025:13:05:59 +0200`, the form of `%d/%b/%Y:%X %z`.
    mutating func writeCommon(_ nanoseconds: UInt64, to target: UnsafeMutablePointer<UInt8>) {
        update(nanoseconds)
        _ = withUnsafeBytes(of: common) { memcpy(target, $0.baseAddress!, Self.commonBytes) }
    }

    /// Writes `Aug 27 13:05:59`, the time of RFC 3164.
    mutating func writeSyslog(_ nanoseconds: UInt64, to target: UnsafeMutablePointer<UInt8>) {
        update(nanoseconds)
        _ = withUnsafeBytes(of: syslog) { memcpy(target, $0.baseAddress!, Self.syslogBytes) }
    }

    /// Writes `2025-08-27T13:05:59.123+02:00`, the time of RFC 3339 with milliseconds.
    mutating func writeISO(_ nanoseconds: UInt64, to target: UnsafeMutablePointer<UInt8>) {
        update(nanoseconds)
        _ = withUnsafeBytes(of: iso) { memcpy(target, $0.baseAddress!, 19) }
        let milliseconds = Int(nanoseconds % 1_000_000_000 / 1_000_000)
        target[19] = UInt8(ascii: ".")
        target[20] = digit(milliseconds / 100)
        target[21] = digit(milliseconds / 10)
        target[22] = digit(milliseconds)
        _ = withUnsafeBytes(of: isoOffset) { memcpy(target + 23, $0.baseAddress!, 6) }
    }

    private mutating func update(_ nanoseconds: UInt64) {
        let now = Int(nanoseconds / 1_000_000_000)
        if now == second { return }
        if now / 60 != minute { printMinute(now) }
        second = now
        // Offsets from UTC are whole minutes, so the second is the same in every zone.
        let inMinute = now % 60
        let tens = digit(inMinute / 10)
        let units = digit(inMinute)
        common[18] = tens
        common[19] = units
        iso[17] = tens
        iso[18] = units
        syslog[13] = tens
        syslog[14] = units
    }

    private mutating func printMinute(_ now: Int) {
        minute = now / 60
        var time = time_t(now)
        var parts = tm()
        guard localtime_r(&time, &parts) != nil else { return }
        let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
        let month = months.utf8Start + 3 * (Int(parts.tm_mon) % 12)
        let (day, hour, minuteOfHour) = (Int(parts.tm_mday), Int(parts.tm_hour), Int(parts.tm_min))
        let year = Int(parts.tm_year) + 1900
        let offsetMinutes = parts.tm_gmtoff / 60
        let sign = offsetMinutes < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+")
        let (offsetHours, offsetRest) = (abs(offsetMinutes) / 60, abs(offsetMinutes) % 60)
        let yearDigits = (digit(year / 1000), digit(year / 100), digit(year / 10), digit(year))

        common[0] = digit(day / 10)
        common[1] = digit(day)
        common[2] = UInt8(ascii: "/")
        for index in 0..<3 { common[3 + index] = month[index] }
        common[6] = UInt8(ascii: "/")
        (common[7], common[8], common[9], common[10]) = yearDigits
        common[11] = UInt8(ascii: ":")
        writeClock(hour, minuteOfHour, into: &common, at: 12)
        common[20] = UInt8(ascii: " ")
        common[21] = sign
        common[22] = digit(offsetHours / 10)
        common[23] = digit(offsetHours)
        common[24] = digit(offsetRest / 10)
        common[25] = digit(offsetRest)

        (iso[0], iso[1], iso[2], iso[3]) = yearDigits
        iso[4] = UInt8(ascii: "-")
        iso[5] = digit((Int(parts.tm_mon) + 1) / 10)
        iso[6] = digit(Int(parts.tm_mon) + 1)
        iso[7] = UInt8(ascii: "-")
        iso[8] = digit(day / 10)
        iso[9] = digit(day)
        iso[10] = UInt8(ascii: "T")
        writeClock(hour, minuteOfHour, into: &iso, at: 11)
        isoOffset[0] = sign
        isoOffset[1] = digit(offsetHours / 10)
        isoOffset[2] = digit(offsetHours)
        isoOffset[3] = UInt8(ascii: ":")
        isoOffset[4] = digit(offsetRest / 10)
        isoOffset[5] = digit(offsetRest)

        for index in 0..<3 { syslog[index] = month[index] }
        syslog[3] = UInt8(ascii: " ")
        syslog[4] = day < 10 ? UInt8(ascii: " ") : digit(day / 10)
        syslog[5] = digit(day)
        syslog[6] = UInt8(ascii: " ")
        writeClock(hour, minuteOfHour, into: &syslog, at: 7)
    }
}

/// The last decimal digit of a number, as ASCII.
private func digit(_ number: Int) -> UInt8 { UInt8(truncatingIfNeeded: 48 + number % 10) }

/// Writes `HH:MM:` and leaves room for the second.
private func writeClock<let count: Int>(_ hour: Int, _ minute: Int, into text: inout InlineArray<count, UInt8>, at place: Int) {
    text[place] = digit(hour / 10)
    text[place + 1] = digit(hour)
    text[place + 2] = UInt8(ascii: ":")
    text[place + 3] = digit(minute / 10)
    text[place + 4] = digit(minute)
    text[place + 5] = UInt8(ascii: ":")
}

/// The wall clock, in nanoseconds since 1970.
func wallClockNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
}
