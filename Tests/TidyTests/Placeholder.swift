import Testing
import TestSupport

@Suite("placeholder") struct PlaceholderTidy { @Test func builds() {} }
