/** What the double of a guest (engine-double.thread.ts) has in mind and on its disk, by its own words. */
import { expect, vi } from 'vitest'
import { attach, type TestHost } from './test-host.ts'

/** @returns both, as "first 1": what it was told to `set`, and the block that it was told to `write` */
export async function askGuest(host: TestHost, id: string): Promise<string> {
  const console = await attach(host, id)
  try {
    // What it printed in earlier lives comes first.
    const mark = `mark-${crypto.randomUUID()}`
    await console.type(mark)
    await console.until(`${mark}\r\n# `)
    await console.type('get')
    await console.type('read')
    const answers = (): RegExpExecArray | null => /=([^=]*)=\r\n[^]*<(\d+)>\r\n/.exec(console.text().slice(console.text().indexOf(mark)))
    const [, mind, block] = await vi.waitFor(() => answers() ?? expect.fail('no answer'), { timeout: 60_000, interval: 5 })
    return `${mind} ${block}`
  } finally {
    console.stream.close()
  }
}
