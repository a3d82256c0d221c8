/** The same numbers in every run (xorshift32): `seeded(1)(10)` is an integer from 0 to 9. */
export function seeded(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Bytes that do not compress away and tell where they came from. */
export function noise(random: (below: number) => number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++) bytes[at] = random(256)
  return bytes
}
