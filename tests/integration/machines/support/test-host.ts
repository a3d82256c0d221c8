/** A host with doubles for the guest and for Debian, and everything else real; the tests speak to it through its API. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { machines, tasks, type system } from '../../../../src-shared/api/index.ts'
import type { MachineView, NewMachine } from '../../../../src-shared/api/machines.ts'
import type { Task } from '../../../../src-shared/api/tasks.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import type { Client } from '../../../../src-shared/rpc/service.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import { startHost, type CoppiceHost, type HostDoubles } from '../../../../src-main/host/host.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { fakeKernel, put } from './fake-files.ts'

export type SystemClient = Client<typeof system>

export interface TestHost {
  host: CoppiceHost
  library: string
  rpc: RpcClient
  machines: Client<typeof machines>
  tasks: Client<typeof tasks>
  /** Resolves with the task's result; rejects with its error. */
  done(started: Promise<{ task: string }>): Promise<Task>
  /** Waits until the machine's view passes. */
  until(id: string, accept: (view: MachineView) => boolean): Promise<MachineView>
  /** A machine that boots a kernel with this command line. */
  make(name: string, cmdline?: string, more?: Partial<NewMachine>): Promise<string>
}

const here = (name: string): URL => new URL(name, import.meta.url)
export const DOUBLES: HostDoubles = { embedded: here('./engine-double.thread.ts'), appliance: here('./appliance-double.thread.ts') }

export interface TestHostOptions {
  library?: string
  cacheFolder?: string
  doubles?: HostDoubles
  /** With the firmware in it; by default an empty folder. */
  resources?: string
  logFolder?: string
}

export async function testHost(options: TestHostOptions = {}): Promise<TestHost> {
  const root = await tempFolder()
  const library = options.library ?? join(root, 'library')
  const resources = options.resources ?? join(root, 'resources')
  await mkdir(resources, { recursive: true })
  const host = await startHost(
    {
      ...{ library, resources, shell: 'headless', allowTerminal: false, version: '0', logFolder: options.logFolder ?? null },
      cacheFolder: options.cacheFolder ?? join(root, 'cache'),
    },
    options.doubles ?? DOUBLES,
  )
  onTestFinished(() => host.close())
  const [ours, theirs] = memoryWirePair()
  host.server.attach(theirs, { kind: 'test' })
  const rpc = new RpcClient(ours)
  onTestFinished(() => rpc.dispose())
  const service = rpc.service(machines)
  const taskService = rpc.service(tasks)
  const self: TestHost = {
    ...{ host, library, rpc, machines: service, tasks: taskService },
    done: async (started) => {
      const task = await taskService.wait({ id: (await started).task })
      if (task.state !== 'done') throw Object.assign(new Error(task.error?.message ?? task.state), { task, code: task.error?.code })
      return task
    },
    until: async (id, accept) => {
      let check = (_view: MachineView): void => {}
      const found = new Promise<MachineView>((resolve) => (check = (view) => void (view.id === id && accept(view) && resolve(view))))
      const listening = service.changed((change) => void (change.kind === 'put' && check(change.machine)))
      const now = (await service.list({})).find((view) => view.id === id)
      if (now) check(now)
      return found.finally(() => listening.dispose())
    },
    make: async (name, cmdline = '', more = {}) => {
      const kernel = await put(join(root, `kernel-${newId()}`), fakeKernel())
      // Without a network, whose thread takes a while to begin.
      const machine: NewMachine = { name, source: { kind: 'kernel', kernel, cmdline }, networks: [null], ...more }
      const task = await self.done(service.create(machine))
      return task.result!.id!
    },
  }
  return self
}

/** A console whose output can be waited for. */
export async function attach(host: TestHost, id: string, from: number | null = null, port = 0) {
  const { opening, stream } = await host.machines.console({ id, port, from })
  let text = ''
  let wake = (): void => {}
  const decoder = new TextDecoder()
  const ended = (async () => {
    for await (const bytes of stream) {
      text += decoder.decode(bytes, { stream: true })
      wake()
    }
  })()
  // A test that does not wait for the end does not care how it comes.
  ended.catch(() => {})
  return {
    opening,
    stream,
    ended,
    text: () => text,
    type: (line: string) => stream.write(new TextEncoder().encode(`${line}\n`)),
    until: async (wanted: string): Promise<string> => {
      while (!text.includes(wanted)) await new Promise<void>((resolve) => (wake = resolve))
      return text
    },
  }
}
