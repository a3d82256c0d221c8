import type { Log } from '../../src-main/host/log/log.ts'

/** A log that keeps its lines, for tests: "warn library: text". */
export function memoryLog(): Log & { lines: string[] } {
  const lines: string[] = []
  const write = (level: string) => (area: string, text: string) => void lines.push(`${level} ${area}: ${text}`)
  return { lines, info: write('info'), warn: write('warn'), error: write('error'), dispose: () => {} }
}
