func runOrigin(listener: Int32) -> Int32 { 1 }
