import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ConsoleHub, KEPT } from '../../../src-main/engines/console-hub.ts'
import type { SerialPort } from '../../../src-main/engines/engine.ts'
import { LOG_BYTES } from '../../../src-main/engines/serial-log.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { WireByteStream, type ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { tempFolder } from '../../support/temp-folder.ts'

class Port implements SerialPort {
  output = new Emitter<Uint8Array>()
  typed = ''
  readonly onOutput = this.output.event
  input(bytes: Uint8Array): Promise<void> {
    this.typed += Buffer.from(bytes).toString('latin1')
    return Promise.resolve()
  }
  print(text: string): void {
    this.output.fire(utf8(text))
  }
}

/** Two ends of a stream, joined; `here` is the reader's. */
function streams(): { here: WireByteStream; there: ByteStream } {
  const ends: WireByteStream[] = []
  const end = (self: 0 | 1): WireByteStream => {
    const peer = (): WireByteStream => ends[1 - self]!
    return new WireByteStream({
      data: (bytes) => queueMicrotask(() => peer().receiveData(bytes)),
      credit: (bytes) => queueMicrotask(() => peer().receiveCredit(bytes)),
      end: () => queueMicrotask(() => peer().receiveEnd()),
      close: (error) => queueMicrotask(() => peer().receiveClose(error && (Object.assign(new Error(error.message), error) as never))),
    })
  }
  ends.push(end(0), end(1))
  return { here: ends[0]!, there: ends[1]! }
}

async function hub(count = 1): Promise<{ ports: Port[]; hub: ConsoleHub; folder: string }> {
  const folder = await tempFolder()
  const ports = Array.from({ length: count }, () => new Port())
  const made = new ConsoleHub(ports, folder)
  onTestFinished(async () => {
    await made.end()
    made.dispose()
  })
  return { ports, hub: made, folder }
}

async function readUntil(stream: ByteStream, length: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (let got = 0; got < length;) {
    const bytes = await stream.read()
    if (!bytes) break
    parts.push(bytes)
    got += bytes.length
  }
  return Buffer.concat(parts)
}

describe('readers', () => {
  test('each gets everything that is kept, whenever it comes, and bytes are not decoded', async () => {
    const { ports, hub: consoles } = await hub()
    ports[0]!.print('early ')
    const first = streams()
    expect(consoles.attach(0, null, first.there)).toEqual({ start: 0, end: 6 })
    ports[0]!.output.fire(Uint8Array.of(0xe2, 0x82))
    const second = streams()
    expect(consoles.attach(0, 6, second.there)).toEqual({ start: 6, end: 8 })
    ports[0]!.output.fire(Uint8Array.of(0xac))
    expect((await readUntil(first.here, 9)).toString('utf8')).toBe('early €')
    expect((await readUntil(second.here, 3)).toString('utf8')).toBe('€')
  })

  test('an offset that is no longer kept, or not there yet, is moved to the nearest', async () => {
    const { ports, hub: consoles } = await hub()
    ports[0]!.output.fire(new Uint8Array(KEPT + 10))
    expect(consoles.attach(0, 0, streams().there)).toEqual({ start: 10, end: KEPT + 10 })
    expect(consoles.attach(0, 2 * KEPT, streams().there)).toEqual({ start: KEPT + 10, end: KEPT + 10 })
  })

  test('a slow one does not hold up the guest or another reader, and is told what it missed', async () => {
    const { ports, hub: consoles } = await hub()
    const slow = streams()
    const fast = streams()
    consoles.attach(0, null, slow.there)
    consoles.attach(0, null, fast.there)
    const block = new Uint8Array(64 * 1024).fill(65)
    const total = (2 * KEPT) / block.length
    const read = readUntil(fast.here, total * block.length)
    for (let at = 0; at < total; at++) {
      ports[0]!.output.fire(block)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect((await read).length).toBe(2 * KEPT)
    await expect(readUntil(slow.here, 2 * KEPT)).rejects.toThrow(/read too slowly: \d+ bytes/)
  })

  test('what a reader sends is typed on its port alone', async () => {
    const { ports, hub: consoles } = await hub(2)
    const { here, there } = streams()
    consoles.attach(1, null, there)
    await here.write(utf8('ls\n'))
    await expect.poll(() => ports[1]!.typed).toBe('ls\n')
    expect(ports[0]!.typed).toBe('')
  })

  test('the end of the machine gives them the rest, then the end', async () => {
    const { ports, hub: consoles } = await hub()
    const { here, there } = streams()
    consoles.attach(0, null, there)
    ports[0]!.print('bye')
    await consoles.end()
    expect((await readUntil(here, 3)).toString()).toBe('bye')
    expect(await here.read()).toBeNull()
  })

  test('a port that the machine has not is refused', async () => {
    const { hub: consoles } = await hub()
    expect(() => consoles.attach(1, null, streams().there)).toThrow('no serial port 1')
  })
})

describe('log files', () => {
  test('get all output, after what was there', async () => {
    const { ports, hub: consoles, folder } = await hub(2)
    await writeFile(join(folder, 'serial1.log'), 'before ')
    ports[0]!.print('zero')
    ports[1]!.print('one')
    await consoles.end()
    expect(await readFile(join(folder, 'serial0.log'), 'utf8')).toBe('zero')
    expect(await readFile(join(folder, 'serial1.log'), 'utf8')).toBe('before one')
  })

  test('never grow beyond their size: the older part is put aside', async () => {
    const { ports, hub: consoles, folder } = await hub()
    const block = new Uint8Array(256 * 1024).fill(66)
    for (let at = 0; at < 10; at++) {
      ports[0]!.output.fire(block)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await consoles.end()
    const file = join(folder, 'serial0.log')
    const sizes = [(await stat(file)).size, (await stat(`${file}.1`)).size]
    for (const size of sizes) expect(size).toBeLessThanOrEqual(LOG_BYTES)
    expect(sizes[0]! + sizes[1]!).toBeGreaterThanOrEqual(LOG_BYTES)
  })

  test('that cannot be written do not disturb the machine', async () => {
    const folder = join(await tempFolder(), 'file')
    await writeFile(folder, '')
    const port = new Port()
    const consoles = new ConsoleHub([port], join(folder, 'logs'))
    onTestFinished(() => consoles.dispose())
    const { here, there } = streams()
    consoles.attach(0, null, there)
    port.print('still here')
    expect((await readUntil(here, 10)).toString()).toBe('still here')
    await consoles.end()
  })
})
