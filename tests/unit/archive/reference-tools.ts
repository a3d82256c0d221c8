/** The system's own archive tools, by which our codecs are judged where they are present. */
import { execFileSync, spawnSync } from 'node:child_process'

export function hasTool(name: string): boolean {
  return !spawnSync(name, ['--version'], { stdio: 'ignore' }).error
}

/** Runs a tool with `input` on its standard input and answers its standard output. */
export function runTool(name: string, args: readonly string[], input: Uint8Array = new Uint8Array(0), cwd?: string): Uint8Array {
  return execFileSync(name, args, { input, maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'ignore'], ...(cwd === undefined ? {} : { cwd }) })
}

/** Bytes with repeats at all distances, plain stretches and noise: every kind of LZMA symbol. Deterministic. */
export function sampleBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed >>> 0 || 1
  const random = (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  for (let at = 0; at < length;) {
    const run = Math.min(1 + random(400), length - at)
    const kind = random(4)
    const distance = 1 + random(Math.max(1, Math.min(at, kind === 0 ? 8 : 1 << 20)))
    const fill = random(256)
    for (let i = 0; i < run; i++, at++) {
      bytes[at] = kind === 3 ? random(256) : kind === 2 || at < distance ? fill + (random(8) === 0 ? 1 : 0) : bytes[at - distance]!
    }
  }
  return bytes
}
