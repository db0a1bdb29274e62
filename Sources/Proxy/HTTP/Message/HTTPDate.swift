/// A moment of HTTP, in whole seconds since 1970 (RFC 9110 §5.6.7).
struct HTTPDate: Equatable, Sendable {
    var unixSeconds: Int64

    init(unixSeconds: Int64) { self.unixSeconds = unixSeconds }

    /// Writes `Sun, 06 Nov 1994 08:49:37 GMT`: 29 bytes; moments outside the years 0 to 9999 are brought to their edge.
    func write(into writer: inout HeadWriter) {
        let seconds = min(max(unixSeconds, HTTPDate.earliest), HTTPDate.latest)
        let days = floorDivide(seconds, 86_400)
        let time = Int(seconds &- days &* 86_400)
        let (year, month, day) = civilDate(days: days)
        let weekday = Int(floorRemainder(days &+ 4, 7))  // 1 January 1970 was a Thursday
        writer.append(HTTPDate.weekdayName(weekday))
        writer.append(", ")
        writer.appendPadded(day)
        writer.append(ASCII.space)
        writer.append(HTTPDate.monthName(month))
        writer.append(ASCII.space)
        writer.appendPadded(year / 100)
        writer.appendPadded(year % 100)
        writer.append(ASCII.space)
        writer.appendPadded(time / 3_600)
        writer.append(ASCII.colon)
        writer.appendPadded(time / 60 % 60)
        writer.append(ASCII.colon)
        writer.appendPadded(time % 60)
        writer.append(" GMT")
    }

    private static let earliest: Int64 = -62_167_219_200
    private static let latest: Int64 = 253_402_300_799

    private static func weekdayName(_ index: Int) -> StaticString {
        switch index {
        case 0: "Sun"
        case 1: "Mon"
        case 2: "Tue"
        case 3: "Wed"
        case 4: "Thu"
        case 5: "Fri"
        default: "Sat"
        }
    }

    fileprivate static func monthName(_ number: Int) -> StaticString {
        switch number {
        case 1: "Jan"
        case 2: "Feb"
        case 3: "Mar"
        case 4: "Apr"
        case 5: "May"
        case 6: "Jun"
        case 7: "Jul"
        case 8: "Aug"
        case 9: "Sep"
        case 10: "Oct"
        case 11: "Nov"
        default: "Dec"
        }
    }
}

extension HTTPDate {
    /// Reads one of the three forms: IMF-fixdate, RFC 850 and asctime; nil for anything else.
    ///
    /// Names are compared with their case and the weekday only by its place, since a wrong one harms nobody. A year of
    /// two digits that would lie more than 50 years after `nowSeconds` is in the century before (RFC 9110 §5.6.7).
    init?(_ bytes: Span<UInt8>, start: Int, length: Int, nowSeconds: Int64) {
        var reader = DateReader(position: start, end: start &+ length)
        guard let date = reader.readAny(bytes, nowSeconds: nowSeconds), reader.position == reader.end else {
            return nil
        }
        self = date
    }
}

/// Reads dates byte by byte; every step answers false, or nil, at the first byte that does not fit.
private struct DateReader {
    var position: Int
    var end: Int
    var year = 0
    var month = 0
    var day = 0
    var second = 0

    mutating func readAny(_ bytes: Span<UInt8>, nowSeconds: Int64) -> HTTPDate? {
        let start = position
        while position < end && lowercased(bytes[position]) &- UInt8(ascii: "a") < 26 { position &+= 1 }
        let nameLength = position &- start
        let isRead: Bool
        if nameLength == 3 && skip(bytes, ", ") {
            isRead = readFixdate(bytes)
        } else if nameLength >= 6 && nameLength <= 9 && skip(bytes, ", ") {
            isRead = readRFC850(bytes, nowSeconds: nowSeconds)
        } else if nameLength == 3 && skip(bytes, " ") {
            isRead = readAsctime(bytes)
        } else {
            isRead = false
        }
        guard isRead, day >= 1, day <= daysInMonth(year: year, month: month) else { return nil }
        return HTTPDate(unixSeconds: daysFromCivil(year: year, month: month, day: day) &* 86_400 &+ Int64(second))
    }

    /// `06 Nov 1994 08:49:37 GMT`
    private mutating func readFixdate(_ bytes: Span<UInt8>) -> Bool {
        guard let day = number(bytes, digits: 2), skip(bytes, " "), readMonth(bytes), skip(bytes, " "),
            let year = number(bytes, digits: 4), skip(bytes, " "), readTime(bytes), skip(bytes, " GMT")
        else { return false }
        self.day = day
        self.year = year
        return true
    }

    /// `06-Nov-94 08:49:37 GMT`
    private mutating func readRFC850(_ bytes: Span<UInt8>, nowSeconds: Int64) -> Bool {
        guard let day = number(bytes, digits: 2), skip(bytes, "-"), readMonth(bytes), skip(bytes, "-"),
            let short = number(bytes, digits: 2), skip(bytes, " "), readTime(bytes), skip(bytes, " GMT")
        else { return false }
        self.day = day
        let yearNow = civilDate(days: floorDivide(min(max(nowSeconds, 0), 253_402_300_799), 86_400)).year
        year = yearNow / 100 * 100 &+ short
        if year > yearNow &+ 50 { year &-= 100 }
        if year <= yearNow &- 50 { year &+= 100 }
        return true
    }

    /// `Nov  6 08:49:37 1994`
    private mutating func readAsctime(_ bytes: Span<UInt8>) -> Bool {
        guard readMonth(bytes), skip(bytes, " ") else { return false }
        let isPadded = skip(bytes, " ")
        guard let day = number(bytes, digits: isPadded ? 1 : 2), skip(bytes, " "), readTime(bytes), skip(bytes, " "),
            let year = number(bytes, digits: 4)
        else { return false }
        self.day = day
        self.year = year
        return true
    }

    private mutating func readMonth(_ bytes: Span<UInt8>) -> Bool {
        month = 1
        while month <= 12 {
            if skip(bytes, HTTPDate.monthName(month)) { return true }
            month &+= 1
        }
        return false
    }

    private mutating func readTime(_ bytes: Span<UInt8>) -> Bool {
        guard let hour = number(bytes, digits: 2), skip(bytes, ":"), let minute = number(bytes, digits: 2),
            skip(bytes, ":"), let seconds = number(bytes, digits: 2), hour < 24, minute < 60, seconds <= 60
        else { return false }
        second = hour &* 3_600 &+ minute &* 60 &+ seconds
        return true
    }

    private mutating func skip(_ bytes: Span<UInt8>, _ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard end &- position >= length else { return false }
        var offset = 0
        while offset < length {
            if bytes[position &+ offset] != text.utf8Start[offset] { return false }
            offset &+= 1
        }
        position &+= length
        return true
    }

    private mutating func number(_ bytes: Span<UInt8>, digits: Int) -> Int? {
        guard end &- position >= digits else { return nil }
        var value = 0
        for _ in 0..<digits {
            let digit = bytes[position] &- UInt8(ascii: "0")
            if digit > 9 { return nil }
            value = value &* 10 &+ Int(digit)
            position &+= 1
        }
        return value
    }
}

extension HeadWriter {
    /// Two decimal digits; `value` is below 100.
    fileprivate mutating func appendPadded(_ value: Int) {
        append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / 10))
        append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value % 10))
    }
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    (value >= 0 ? value : value &- divisor &+ 1) / divisor
}

private func floorRemainder(_ value: Int64, _ divisor: Int64) -> Int64 {
    value &- floorDivide(value, divisor) &* divisor
}

/// Days since 1970 to a date of the Gregorian calendar, counting years from March so that the leap day comes last.
private func civilDate(days: Int64) -> (year: Int, month: Int, day: Int) {
    let shifted = days &+ 719_468  // since 1 March of the year 0
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted &- era &* 146_097
    let yearOfEra = (dayOfEra &- dayOfEra / 1_460 &+ dayOfEra / 36_524 &- dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
    let marchMonth = (5 &* dayOfYear &+ 2) / 153
    let day = dayOfYear &- (153 &* marchMonth &+ 2) / 5 &+ 1
    let month = marchMonth < 10 ? marchMonth &+ 3 : marchMonth &- 9
    return (Int(yearOfEra &+ era &* 400) &+ (month <= 2 ? 1 : 0), Int(month), Int(day))
}

/// A date of the Gregorian calendar to days since 1970.
private func daysFromCivil(year: Int, month: Int, day: Int) -> Int64 {
    let shiftedYear = Int64(year) &- (month <= 2 ? 1 : 0)
    let era = floorDivide(shiftedYear, 400)
    let yearOfEra = shiftedYear &- era &* 400
    let dayOfYear = (153 &* Int64(month > 2 ? month &- 3 : month &+ 9) &+ 2) / 5 &+ Int64(day) &- 1
    return era &* 146_097 &+ yearOfEra &* 365 &+ yearOfEra / 4 &- yearOfEra / 100 &+ dayOfYear &- 719_468
}

private func daysInMonth(year: Int, month: Int) -> Int {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    default: 31
    }
}
