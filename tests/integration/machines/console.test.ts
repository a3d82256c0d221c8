/** Serial consoles through the host, to and from a real thread. */
import { describe, expect, test } from 'vitest'
import { WINDOW } from '../../../src-shared/rpc/byte-stream.ts'
import { attach, testHost } from './support/test-host.ts'

describe('a console', () => {
  test('opened late has the whole boot; closed and opened again it goes on where it was', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    const first = await attach(host, id)
    expect(first.opening).toMatchObject({ start: 0, live: true })
    await first.until('# ')
    expect(first.text()).toContain('Booting a')
    const seen = new TextEncoder().encode(first.text()).length
    first.stream.close()
    await host.machines.type({ id, text: 'set missed\nget\n' })
    const second = await attach(host, id, seen)
    await second.until('=missed=')
    expect(second.opening).toMatchObject({ start: seen, life: first.opening.life })
    expect(second.text()).not.toContain('Booting')
  })

  test('serves several at once, and ends for all when the machine goes off; what was kept can be read then', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    const both = [await attach(host, id), await attach(host, id)]
    await both[0]!.type('poweroff')
    await Promise.all(both.map(({ ended }) => ended))
    for (const { text } of both) expect(text()).toContain('poweroff')
    await host.until(id, ({ state }) => state === 'off')
    const kept = await attach(host, id)
    await kept.ended
    expect(kept.opening).toMatchObject({ start: 0, live: false })
    expect(kept.opening.end).toBe(new TextEncoder().encode(kept.text()).length)
    expect(kept.text()).toContain('Booting a')
    expect(kept.opening.life).not.toBe(both[0]!.opening.life)
    // Who has read a part goes on from there, and who has read all gets nothing twice.
    const rest = await attach(host, id, 8)
    await rest.ended
    expect(rest.opening).toMatchObject({ start: 8, life: kept.opening.life })
    expect(rest.text()).toBe(kept.text().slice(8))
    const nothing = await attach(host, id, kept.opening.end)
    await nothing.ended
    expect(nothing.text()).toBe('')
    await host.machines.start({ id })
    expect((await attach(host, id)).opening.life).not.toBe(both[0]!.opening.life)
  })

  test('opened while the machine starts waits for it; of a machine that never ran it is empty', async () => {
    const host = await testHost()
    const id = await host.make('a')
    const none = await attach(host, id)
    await none.ended
    expect([none.opening, none.text()]).toEqual([{ start: 0, end: 0, live: false, life: 'kept' }, ''])
    const starting = host.machines.start({ id })
    await host.until(id, ({ state }) => state === 'starting')
    const console = await attach(host, id)
    await starting
    if (console.opening.live) await console.until('# ')
    await expect(attach(host, id, null, 3)).rejects.toMatchObject({
      code: 'not-found',
      message: '“a” has no serial port 3; it has 1, counted from 0.',
    })
  })

  test('keeps on giving to one who has nothing more to type', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    const console = await attach(host, id)
    await console.type('set x')
    console.stream.end()
    await host.machines.type({ id, text: 'get\n' })
    await console.until('=x=')
  })

  test('that nobody reads holds no more than its window, whatever the guest prints', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    const { stream } = await host.machines.console({ id, port: 0, from: null })
    await host.machines.type({ id, text: 'flood 900\n' })
    const other = await attach(host, id)
    await other.until('x'.repeat(1022))
    await host.machines.type({ id, text: 'set done\nget\n' })
    await other.until('=done=')
    let bytes = 0
    let reads = 0
    for await (const chunk of stream) {
      bytes += chunk.length
      reads++
      if (bytes > 900 * 1024) break
    }
    expect(bytes).toBeGreaterThan(2 * WINDOW)
    expect(reads).toBeGreaterThan(2)
  })
})
