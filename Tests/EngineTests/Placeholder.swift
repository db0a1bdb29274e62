import Testing
@testable import Proxy

@Suite("placeholder") struct PlaceholderEngine { @Test func builds() {} }
