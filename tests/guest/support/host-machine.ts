/** A machine as a person has it: made and run by a whole host, watched on its serial port and on its screen. */
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { cacheFolder, resourcesFolder } from '../../../src-main/app/paths.ts'
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import type { MachineView, NewMachine } from '../../../src-shared/api/machines.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { testHost, type TestHost } from '../../integration/machines/support/test-host.ts'
import { decodePng, type DecodedPng } from '../../support/png.ts'
import { RAW, RfbClient } from '../../support/rfb-client.ts'
import { GUEST_LIMIT, printable } from './guest.ts'
import type { ScreenReader } from './screen-text.ts'

/** Between two looks at a screen, ms. */
const LOOK_MS = 500

/** A host with everything that the product has; it ends with the test. */
export function wholeHost(): Promise<TestHost> {
  return testHost({ doubles: {}, cacheFolder: cacheFolder(), resources: resourcesFolder() })
}

export class HostMachine {
  readonly id: string
  readonly host: TestHost
  #reader: ScreenReader
  #patienceMs: number
  #output = ''
  #console: ByteStream | null = null

  private constructor(host: TestHost, id: string, reader: ScreenReader, { patienceMs = 2 * GUEST_LIMIT }: { patienceMs?: number }) {
    this.host = host
    this.id = id
    this.#reader = reader
    this.#patienceMs = patienceMs
  }

  /** Made and started; it is switched off when the test ends. @param patience for one thing that it is to print or show */
  static async start(
    host: TestHost,
    machine: NewMachine,
    reader: ScreenReader,
    patience: { patienceMs?: number } = {},
  ): Promise<HostMachine> {
    const { result } = await host.done(host.machines.create(machine))
    const self = new HostMachine(host, result!.id!, reader, patience)
    await host.machines.start({ id: self.id })
    // Its process would outlive a host that is ended by force.
    onTestFinished(async () => void (await host.machines.powerOff({ id: self.id }).catch(() => {})))
    const { stream } = await host.machines.console({ id: self.id, port: 0, from: 0 })
    self.#console = stream
    void self.#follow(stream)
    return self
  }

  state(): Promise<MachineView> {
    return this.host.machines.get({ id: this.id })
  }

  /** What its first serial port printed, as a terminal would show it, once it matches. */
  async printed(pattern: RegExp): Promise<string> {
    return this.#until(pattern, () => Promise.resolve(printable(this.#output)), 'print')
  }

  /** The text on its screen, once it matches. */
  async shows(pattern: RegExp): Promise<string> {
    return this.#until(pattern, async () => this.#reader.read(await this.screen()).join('\n'), 'show')
  }

  async type(text: string): Promise<void> {
    await this.#console!.write(new TextEncoder().encode(text))
  }

  async screen(): Promise<DecodedPng> {
    const { stream } = await this.host.machines.screenshot({ id: this.id })
    const parts: Uint8Array[] = []
    for await (const bytes of stream) parts.push(bytes)
    return decodePng(concatBytes(parts))
  }

  async viewer(): Promise<RfbClient> {
    const { stream } = await this.host.machines.display({ id: this.id })
    return RfbClient.open(stream, { encodings: [RAW] })
  }

  async #until(pattern: RegExp, look: () => Promise<string>, verb: string): Promise<string> {
    const limit = Date.now() + this.#patienceMs
    for (;;) {
      const text = await look()
      if (pattern.test(text)) return text
      if (Date.now() > limit) throw new Error(`It did not ${verb} ${String(pattern)} but:\n${text.slice(-3000)}`)
      await sleep(LOOK_MS)
    }
  }

  async #follow(stream: ByteStream): Promise<void> {
    const decoder = new TextDecoder('latin1')
    try {
      for await (const bytes of stream) this.#output += decoder.decode(bytes)
    } catch {
      // The machine, or the host, has ended.
    }
  }
}
