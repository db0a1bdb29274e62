import Testing
import TestSupport

@Suite("placeholder") struct PlaceholderScenario { @Test func builds() {} }
