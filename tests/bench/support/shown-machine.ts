/** A machine as a person has it: run by the product's own `coppice serve`, its screen shown by the window in a real Chromium. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chromium, type Browser, type Page } from 'playwright'
import { connectLocal } from '../../../src-main/app/local/connect.ts'
import { socketAddress } from '../../../src-main/engines/qemu/supervise/endpoint.ts'
import type { MachineRecord } from '../../../src-main/engines/qemu/supervise/machine-folder.ts'
import { findSurvivors } from '../../../src-main/engines/qemu/supervise/survivors.ts'
import { SocketStream } from '../../../src-main/host/vnc/socket-stream.ts'
import { machines, tasks } from '../../../src-shared/api/index.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { RpcClient } from '../../../src-shared/rpc/client.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { ROOT } from '../../support/built.ts'
import { chromiumArgs, findChromium } from '../../support/chromium.ts'
import { innermost } from './process-cpu.ts'
import { SCREEN, screenGuestDisk } from './screen-guest.ts'

const NAME = 'bench'
/** After a key, until its picture is everywhere. */
export const SETTLE_MS = 300

export class ShownMachine {
  readonly page: Page
  readonly id: string
  readonly machines: Client<typeof machines>
  /** Of the host with all its threads. */
  readonly hostPid: number
  #browser: Browser
  #rpc: RpcClient
  #child: ChildProcess
  #folder: string

  private constructor(
    folder: string,
    {
      page,
      id,
      rpc,
      browser,
      child,
      hostPid,
    }: { page: Page; id: string; rpc: RpcClient; browser: Browser; child: ChildProcess; hostPid: number },
  ) {
    this.page = page
    this.id = id
    this.machines = rpc.service(machines)
    this.hostPid = hostPid
    this.#browser = browser
    this.#rpc = rpc
    this.#child = child
    this.#folder = folder
  }

  /** It runs, and its first picture is on the page; from here on `paints` counts. */
  static async open(engine: 'embedded' | 'qemu'): Promise<ShownMachine> {
    // Short: sockets lie in it.
    const folder = await mkdtemp(path.join(tmpdir(), 'cb-'))
    process.env['XDG_RUNTIME_DIR'] = folder
    const library = path.join(folder, 'library')
    const disk = path.join(folder, 'disk.img')
    await writeFile(disk, screenGuestDisk())
    const child = spawn(path.join(ROOT, 'bin/coppice'), ['serve', '--port', '0', '--library', library], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, COPPICE_STATE: path.join(folder, 'state') },
    })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const url = /http:\S+/.exec(String(line))![0]
    const rpc = await connectLocal(library)
    const service = rpc.service(machines)
    const { task } = await service.create({ name: NAME, source: { kind: 'disk', path: disk }, engine, memoryMiB: 64 })
    const ended = await rpc.service(tasks).wait({ id: task })
    if (!ended.result?.id) throw new Error(ended.error?.message ?? ended.state)
    const { id } = ended.result
    await service.start({ id })
    const browser = await chromium.launch({ executablePath: findChromium()!, args: chromiumArgs })
    const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } })
    await page.addInitScript(watchPaints)
    await page.goto(url)
    await page.getByRole('treeitem', { name: new RegExp(`^${NAME}`) }).click()
    await page.getByRole('tab', { name: 'Display' }).click()
    await page.getByText(`${SCREEN.width} × ${SCREEN.height}`).waitFor({ timeout: 60_000 })
    const shown = new ShownMachine(folder, { page, id, rpc, browser, child, hostPid: await innermost(child.pid!) })
    await shown.focus()
    return shown
  }

  async focus(): Promise<void> {
    await this.page.getByRole('application', { name: `Screen of ${NAME}` }).focus()
  }

  /** Presses a key on the page; ms until the whole picture was painted anew. */
  async keyToCanvas(key: string): Promise<number> {
    // What an earlier key changed is painted by then.
    await this.page.waitForTimeout(SETTLE_MS)
    await this.page.evaluate(() => (window.paints = { ...window.paints, keyAt: null, after: null }))
    await this.page.keyboard.press(key)
    await this.page.waitForFunction(() => window.paints.after !== null)
    return this.page.evaluate(() => window.paints.after! - window.paints.keyAt!)
  }

  /** Paintings of the whole picture each second, counted during `ms`. */
  async paintsPerSecond(ms: number): Promise<number> {
    return this.page.evaluate(async (during) => {
      const { whole } = window.paints
      const from = performance.now()
      await new Promise((resolve) => setTimeout(resolve, during))
      return ((window.paints.whole - whole) / (performance.now() - from)) * 1000
    }, ms)
  }

  /** As a tab that is behind another one: a headless browser has no such thing. */
  async setHidden(hidden: boolean): Promise<void> {
    await this.page.evaluate(
      (state) => {
        Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state })
        document.dispatchEvent(new Event('visibilitychange'))
      },
      hidden ? 'hidden' : 'visible',
    )
  }

  /** Nobody looks any more. */
  async leave(): Promise<void> {
    await this.page.getByRole('tab', { name: 'Notes' }).click()
  }

  async comeBack(): Promise<void> {
    await this.page.getByRole('tab', { name: 'Display' }).click()
    await this.page.getByText(`${SCREEN.width} × ${SCREEN.height}`).waitFor()
    await this.focus()
  }

  /** RFB without the window: on QEMU at its own VNC socket, past all that is ours; on the embedded engine through the host. */
  async bareScreen(): Promise<ByteStream> {
    const record = await qemuRecord(this.id)
    if (!record) return (await this.machines.display({ id: this.id })).stream
    const socket = connect(socketAddress(record.runtime.display!))
    await once(socket, 'connect')
    return new SocketStream(socket)
  }

  async close(): Promise<void> {
    await this.#browser.close()
    await this.machines.powerOff({ id: this.id }).catch(() => {})
    this.#rpc.dispose()
    this.#child.kill('SIGTERM')
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** What a QEMU machine of this user runs with; null where none of this id runs. */
export async function qemuRecord(id: string): Promise<MachineRecord | null> {
  return (await findSurvivors()).find(({ record }) => record.spec.id === id)?.record ?? null
}

interface Paints {
  /** Paintings of nearly the whole canvas so far. */
  whole: number
  /** When a key went down, and when the first whole painting after it was done. */
  keyAt: number | null
  after: number | null
}
declare global {
  interface Window {
    paints: Paints
  }
}

/** In the page: noVNC shows each update by drawing its own canvas onto the visible one. */
function watchPaints(): void {
  window.paints = { whole: 0, keyAt: null, after: null }
  document.addEventListener('keydown', () => (window.paints.keyAt ??= performance.now()), { capture: true })
  const prototype = CanvasRenderingContext2D.prototype
  const draw = Reflect.get(prototype, 'drawImage') as (...given: unknown[]) => void
  Reflect.set(prototype, 'drawImage', function (this: CanvasRenderingContext2D, ...given: unknown[]) {
    draw.apply(this, given)
    const { canvas } = this
    if (!canvas.isConnected || Number(given[7]) * Number(given[8]) < 0.9 * canvas.width * canvas.height) return
    window.paints.whole++
    if (window.paints.keyAt !== null) window.paints.after ??= performance.now()
  })
}
