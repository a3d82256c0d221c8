/** Codecs of what comes from outside: whatever comes, they read something or nothing, and never throw. */
import fc from 'fast-check'

/**
 * Any bytes; and what is right, with some bytes changed, cut off anywhere and with something behind it.
 * @param look takes what it may; throws where that is wrong
 * @param whole something right; absent: any bytes alone
 * @param most bytes
 */
export function takesAnyBytes(look: (bytes: Uint8Array) => unknown, whole: fc.Arbitrary<Uint8Array> | null = null, most = 600): void {
  fc.assert(fc.property(fc.uint8Array({ maxLength: most }), (bytes) => void look(bytes)))
  if (!whole) return
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 })
  fc.assert(
    fc.property(whole, changes, fc.nat(most), fc.uint8Array({ maxLength: 8 }), (right, changed, cut, behind) => {
      const bytes = right.slice()
      for (const [at, value] of changed) bytes[at % bytes.length] = value
      look(bytes)
      look(bytes.subarray(0, cut))
      look(Uint8Array.from([...bytes, ...behind]))
    }),
  )
}
