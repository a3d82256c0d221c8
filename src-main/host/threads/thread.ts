/**
 * A worker thread seen from the host: its services through `rpc`, its death with a cause. The thread's standard output and error go to the
 * log. Ending it on purpose is not a death.
 */
import { Worker } from 'node:worker_threads'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { DisposableStore, toDisposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { threadUrl, type ThreadName } from '../../threads/thread-url.ts'
import type { Log } from '../log/log.ts'

/** MiB of JavaScript heap, by thread. Guest memory is not part of it (ArrayBuffers and WebAssembly memory lie outside). */
const HEAP_MIB: Record<ThreadName, number> = { embedded: 1024, qemu: 512, storage: 512, appliance: 1024, network: 512 }
/** Bytes of a thread's output that go to the log over its life: a thread in a loop must not fill the disk. */
const MAX_OUTPUT = 256 * 1024

export interface HostThreadOptions {
  log: Log
  /** Shown in the log and in sentences: "the engine of “web-1”". */
  label?: string
  /** Another entry than the product's, for tests. */
  entry?: URL
}

export class HostThread implements Disposable {
  readonly rpc: RpcClient
  #worker: Worker
  #label: string
  #store = new DisposableStore()
  #death = new Emitter<{ error: AppError }>()
  #error: AppError | null = null
  #expected = false
  readonly #exited: Promise<void>

  readonly onDeath: Event<{ error: AppError }> = this.#death.event

  constructor(name: ThreadName, options: HostThreadOptions) {
    this.#label = options.label ?? `the ${name} thread`
    this.#worker = new Worker(options.entry ?? threadUrl(name), {
      name: `coppice-${name}`,
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB[name] },
    })
    const worker = this.#worker
    worker.on('error', (error) => (this.#error = deathByError(error as Error & { code?: string }, this.#label)))
    // Before the wire's own listener, so that whoever's call fails by this exit finds the cause in `deathError`.
    this.#exited = new Promise((resolve) => worker.on('exit', (code) => (this.#onExit(code), resolve())))
    this.rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
    this.#relayOutput(name, options.log)
    // Tracked, so that tests find threads that nobody ended.
    this.#store.add(toDisposable(() => {}))
  }

  /** Why it died; null while it lives, and where it was ended on purpose. */
  get deathError(): AppError | null {
    return this.#expected ? null : this.#error
  }

  /** Resolves when it is gone. */
  async terminate(): Promise<void> {
    this.dispose()
    await this.#exited
  }

  dispose(): void {
    this.#expected = true
    this.rpc.dispose()
    void this.#worker.terminate()
    this.#store.dispose()
  }

  #onExit(code: number): void {
    if (this.#expected) return this.#death.dispose()
    this.#error ??= new AppError('crashed', `${capital(this.#label)} ended by itself (exit code ${code}).`)
    this.#death.fire({ error: this.#error })
    this.#death.dispose()
    this.#store.dispose()
  }

  #relayOutput(name: ThreadName, log: Log): void {
    let left = MAX_OUTPUT
    for (const stream of [this.#worker.stdout, this.#worker.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        if (left > 0) log.warn(`thread-${name}`, text.slice(0, left).trimEnd())
        left -= text.length
      })
    }
  }
}

function deathByError(error: Error & { code?: string }, label: string): AppError {
  if (error.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new AppError('crashed', `${capital(label)} ran out of memory and was stopped.`, {}, error)
  const text = typeof error.message === 'string' ? error.message.split('\n', 1)[0]!.slice(0, 200) : 'unknown error'
  return new AppError('crashed', `${capital(label)} failed: ${text}`, {}, error)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
