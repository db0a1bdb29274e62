import Testing
@testable import Proxy

@Suite("placeholder") struct PlaceholderProxy { @Test func builds() {} }
