/** The same QEMU with the same arguments as a machine of Coppice's, started by hand: its serial port on standard input and output, and nothing held back. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { qemuArguments } from '../../../src-main/engines/qemu/arguments/qemu-arguments.ts'
import { runtimeIn } from '../../../src-main/engines/qemu/arguments/runtime.ts'
import { platform } from '../../../src-main/engines/qemu/supervise/launch.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'

const LIMIT_MS = 120_000

export class BareQemu {
  #child: ChildProcessByStdio<Writable, Readable, null>
  #folder: string
  #seen = ''
  #wake: () => void = () => {}
  #qmp: Socket | null = null
  readonly #started = performance.now()

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, folder: string) {
    this.#child = child
    this.#folder = folder
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.#seen += text
      this.#wake()
    })
  }

  /** @param folder for its sockets; made and removed. @param incoming of `-incoming`. @param netdev what its cards are plugged into, for want of a switch: "user". @param cpu of `-cpu`, where not Coppice's */
  static async start(
    spec: MachineSpec,
    folder: string,
    { incoming = null, netdev = null, cpu = null }: { incoming?: string | null; netdev?: string | null; cpu?: string | null } = {},
  ): Promise<BareQemu> {
    await mkdir(folder)
    const runtime = { ...runtimeIn(folder, spec, path.join), incoming }
    const args = qemuArguments(spec, runtime, platform()).filter((arg) => arg !== '-S')
    const serial = args.findIndex((arg) => /^socket,id=serial0,/.test(arg))
    args[serial] = 'stdio,id=serial0,signal=off'
    // By hand, memory is saved and loaded by starting `cat`, which the sandbox forbids.
    const sandbox = args.indexOf('-sandbox')
    if (sandbox >= 0) args.splice(sandbox, 2)
    if (cpu !== null) args[args.indexOf('-cpu') + 1] = cpu
    if (netdev !== null)
      for (const [at, arg] of args.entries()) if (args[at - 1] === '-netdev') args[at] = `${netdev},${arg.split(',').find(isId)!}`
    return new BareQemu(spawn(spec.qemu!.binary, args, { stdio: ['pipe', 'pipe', 'inherit'] }), folder)
  }

  /** ms from its start until it printed this. */
  async printed(text: string | RegExp): Promise<number> {
    const until = performance.now() + LIMIT_MS
    while (typeof text === 'string' ? !this.#seen.includes(text) : !text.test(this.#seen)) {
      if (this.#child.exitCode !== null || performance.now() > until)
        throw new Error(`QEMU did not print “${String(text)}”: ${this.#seen.slice(-500)}`)
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), sleep(1000)])
    }
    return performance.now() - this.#started
  }

  /** Types a line. @returns what it prints from then until this */
  async answer(line: string, mark: string): Promise<string> {
    const from = this.#seen.length
    this.type(`${line}\n`)
    for (;;) {
      const end = this.#seen.indexOf(mark, from)
      if (end >= 0) return this.#seen.slice(from, end)
      if (this.#child.exitCode !== null) throw new Error(`QEMU ended instead of “${mark}”.`)
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), sleep(1000)])
    }
  }

  type(text: string): void {
    this.#child.stdin.write(text)
  }

  /** A command of QMP; its answer. */
  async execute(command: string, given: object = {}): Promise<Record<string, unknown>> {
    this.#qmp ??= await this.#openQmp()
    return ask(this.#qmp, command, given)
  }

  async close(): Promise<void> {
    this.#qmp?.destroy()
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL')
      await once(this.#child, 'exit')
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #openQmp(): Promise<Socket> {
    for (;;) {
      const socket = connect(path.join(this.#folder, 'qmp'))
      const connected = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(
        () => false,
      )
      if (connected) {
        await ask(socket, 'qmp_capabilities', {})
        return socket
      }
      await sleep(5)
    }
  }
}

const isId = (option: string): boolean => option.startsWith('id=')

async function ask(socket: Socket, execute: string, given: object): Promise<Record<string, unknown>> {
  const lines = createInterface(socket)
  try {
    socket.write(`${JSON.stringify({ execute, arguments: given })}\n`)
    for await (const line of lines) {
      const answer = JSON.parse(line) as { return?: Record<string, unknown>; error?: { desc: string } }
      if (answer.error) throw new Error(answer.error.desc)
      if (answer.return) return answer.return
    }
    throw new Error('QMP ended.')
  } finally {
    lines.close()
  }
}
