/** Numbers in [0, 1) that are the same for the same seed. */
export type Random = () => number

/** mulberry32: 32 bits of state, which is plenty for the fate of frames. @param seed null: another one each time */
export function seededRandom(seed: number | null): Random {
  let state = seed ?? Math.floor(Math.random() * 2 ** 32)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
