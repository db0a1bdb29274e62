import Testing
@testable import Proxy

@Suite("placeholder") struct PlaceholderHTTP { @Test func builds() {} }
