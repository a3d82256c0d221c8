/**
 * Serves any Engine to the host over a thread's wire. What all engines have in common is here: machines by id, their consoles, the first
 * prompt, their agents, and block ports.
 */
import type { MessagePort } from 'node:worker_threads'
import { DisposableStore } from '../../src-shared/base/disposable.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import type { RpcServer } from '../../src-shared/rpc/server.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../src-shared/threads/block-port.ts'
import { Counters } from '../../src-shared/threads/counters.ts'
import { engineThread, type EngineEvent } from '../../src-shared/threads/engine-thread.ts'
import { MachineAgent } from './agent/machine-agent.ts'
import { ConsoleHub } from './console-hub.ts'
import type { BlockClient, DisplaySource, Engine, EngineMachine } from './engine.ts'

interface Served {
  machine: EngineMachine
  /** Null when it is over: what it printed is in its logs. */
  consoles: ConsoleHub | null
  agent: MachineAgent
  store: DisposableStore
  /** Resolves when its end was told. */
  ended: Promise<void>
  /** Goes on from a memory state: what booted then is still booted. */
  resumed: boolean
}

export interface ServedEngine {
  /** Serves a machine that runs already, as one that was created here. */
  adopt(id: string, logFolder: string, machine: EngineMachine): void
}

export function serveEngine(server: RpcServer, engine: Engine): ServedEngine {
  const machines = new Map<string, Served>()
  const events = new Emitter<EngineEvent>()
  const find = (id: string): Served => {
    const served = machines.get(id)
    if (!served) throw new AppError('not-found', 'The engine does not know this machine. It was not started here, or it has ended.')
    return served
  }
  const tell = (id: string, event: DistributiveOmit<EngineEvent, 'machine'>): void => events.fire({ machine: id, ...event })

  const serve = (id: string, logFolder: string, machine: EngineMachine, store: DisposableStore, resumed: boolean): ConsoleHub => {
    const consoles = store.add(new ConsoleHub(machine.serial, logFolder))
    store.add(machine)
    consoles.onBooted((ms) => tell(id, { kind: 'booted', ms }))
    const agent = store.add(new MachineAgent(machine.agent, resumed, machine.unmountsShares))
    agent.onPresence((present) => tell(id, { kind: 'agent', present }))
    let ran = resumed
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    machine.onEvent((event) => {
      if (event.kind === 'rebooted') {
        consoles.watchBoot()
        agent.restarted()
      }
      if (event.kind === 'running') {
        if (ran) void agent.wentOn()
        ran = true
      }
      if (event.kind !== 'stopped') return tell(id, event)
      // The last output is on its way to readers and logs before anyone hears that the machine is off.
      void consoles.end().then(() => {
        tell(id, event)
        store.dispose()
        served.consoles = null
        resolve()
      })
    })
    const served: Served = { machine, consoles, agent, store, ended, resumed }
    machines.set(id, served)
    return consoles
  }

  server.register(engineThread, {
    describe: () => engine.describe(),
    create: async ({ spec, blocks, counters, rings, memory }) => {
      machines.get(spec.id)?.store.dispose()
      machines.delete(spec.id)
      const store = new DisposableStore()
      try {
        const clients = new Map(Object.entries(blocks).map(([drive, port]) => [drive, blockClient(port as MessagePort, store)]))
        const machine = await engine.create(spec, { blocks: clients, counters: new Counters(counters), rings, memory })
        serve(spec.id, spec.logFolder, machine, store, memory !== null)
      } catch (error) {
        store.dispose()
        throw error
      }
    },
    start: async ({ machine }) => {
      const served = find(machine)
      if (!served.resumed) served.consoles?.watchBoot()
      await served.machine.start()
      if (served.resumed) tell(machine, { kind: 'booted', ms: 0 })
    },
    pause: ({ machine }) => find(machine).machine.pause(),
    resume: ({ machine }) => find(machine).machine.resume(),
    powerButton: ({ machine }) => {
      const served = find(machine)
      return served.agent.shutDown(() => served.machine.powerButton())
    },
    reset: ({ machine }) => find(machine).machine.reset(),
    powerOff: async ({ machine }) => {
      const served = find(machine)
      await served.machine.powerOff()
      await served.ended
    },
    change: ({ machine, change, block }, { signal }) => {
      const { machine: served, store } = find(machine)
      return served.change(change, block && blockClient(block as MessagePort, store), signal)
    },
    nicLinks: ({ machine }) => find(machine).machine.nicLinks?.() ?? {},
    cutLink: ({ machine, nic, cut }) => find(machine).machine.cutLink(nic, cut),
    prepareSave: async ({ machine }) => {
      const served = find(machine)
      if (served.machine.unmountsShares) await served.agent.unmountShares()
    },
    saveMemory: ({ machine, memory }) => find(machine).machine.saveMemory(memory),
    capture: ({ machine, ...order }) => find(machine).machine.capture(order),
    captured: ({ machine }) => find(machine).machine.captured(),
    mergeDisk: ({ machine, ...merge }, { signal }) => {
      const { machine: served } = find(machine)
      if (!served.mergeDisk) throw new AppError('unsupported', 'This engine does not open its disks itself.')
      return served.mergeDisk(merge, signal)
    },
    serial: ({ machine, port, from }, stream) => consolesOf(find(machine)).attach(port, from, stream),
    display: ({ machine }, stream) => screenOf(find(machine)).attach(stream),
    screenshot: async ({ machine }) => ({ png: await screenOf(find(machine)).screenshot() }),
    guestInterfaces: ({ machine }) => find(machine).agent.interfaces(),
    setGuestTime: ({ machine }) => find(machine).agent.setTime(Date.now),
    freezeGuest: async ({ machine }) => ({ fileSystems: await find(machine).agent.freeze() }),
    thawGuest: async ({ machine }) => ({ fileSystems: await find(machine).agent.thaw() }),
    exec: ({ machine, command }, stream) => find(machine).agent.exec(command, stream),
    events: events.event,
  })

  return {
    adopt: (id, logFolder, machine) => {
      const consoles = serve(id, logFolder, machine, new DisposableStore(), true)
      consoles.watchBoot()
      consoles.seeEarlier()
    },
  }
}

function consolesOf({ consoles }: Served): ConsoleHub {
  if (!consoles) throw new AppError('wrong-state', 'The machine is off: its serial ports are gone. What it printed is in its logs.')
  return consoles
}

function screenOf({ machine }: Served): DisplaySource {
  if (!machine.display) throw new AppError('unsupported', 'This machine has no screen. Give it one in its hardware settings.')
  return machine.display
}

type DistributiveOmit<T, K extends keyof T> = T extends unknown ? Omit<T, K> : never

function blockClient(port: MessagePort, store: DisposableStore): BlockClient {
  return store.add(new RpcClient(portWire(nodePort(port, 'close', () => port.close())))).service(blockPort)
}
