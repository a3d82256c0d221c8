/** Virtual networks: what there is, changing it, and what flows in it. What is plugged in where stands in the machines' configurations. */
import { z } from 'zod'
import type { WireError } from '../errors/app-error.ts'
import {
  forwardSchema,
  impairmentSchema,
  networkNameSchema,
  networkPatchSchema,
  newNetworkSchema,
  routerSchema,
  type Network,
  type Router,
} from '../model/network.ts'
import { macSchema } from '../model/mac.ts'
import { call, defineService, event, stream } from '../rpc/service.ts'
import type { FlowView as Flow, Lease, NetworkAlert, PacketLayerView, PortCounters } from '../threads/network-thread.ts'
import type { PacketSummary } from '../model/packet.ts'
import type { TaskStarted } from './tasks.ts'

export type { Lease, NetworkAlert, PacketLayerView, PortCounters }

/** `bytes` as base64: answers are JSON on their way to a window. */
export interface PacketView extends PacketSummary {
  layers: PacketLayerView[]
  bytes: string
}

/** As the thread's, with base64 for bytes. */
export interface FlowView extends Omit<Flow, 'parts'> {
  parts: { from: 0 | 1; bytes: string }[]
}

/** A machine's network card, as networks see it. */
export interface NicView {
  machine: string
  name: string
  nic: string
  mac: string
  /** Null: plugged in nowhere. */
  network: string | null
  /** Its machine runs, and frames pass. */
  connected: boolean
  cut: boolean
  impairment: z.output<typeof impairmentSchema>
  /** By DHCP, or as the guest's agent told them. */
  addresses: string[]
  /** What of its network it does not have, and why, as a sentence; null or absent: nothing. */
  problem?: string | null
}

export interface NetworkView {
  network: Network
  /** Null where it has none. */
  gateway: { ipv4: string | null; ipv6: string | null; mac: string } | null
  domain: string
  nics: NicView[]
  /** By the forward's id. Those of machines that do not run wait. `problem`: why it does not listen, or reaches nobody; null: nothing is wrong with it. */
  forwards: Record<string, { state: 'listening' | 'waiting' | 'failed'; problem: WireError | null }>
  /** Why the network cannot do what its kind promises; null: it can. */
  problem: WireError | null
}

export interface RouterView {
  router: Router
  problem: WireError | null
}

export type NetworkChange =
  | { kind: 'put'; network: NetworkView }
  | { kind: 'removed'; name: string }
  | { kind: 'router'; router: RouterView }
  | { kind: 'routerRemoved'; name: string }
  /** Cards that are plugged in nowhere: all of them. */
  | { kind: 'loose'; nics: NicView[] }
  | { kind: 'map'; map: Record<string, { x: number; y: number }> }

/** A second's worth of one plug. */
export interface TrafficSample {
  /** Bytes and frames per second, from the machine's view. */
  outBytes: number
  inBytes: number
  outFrames: number
  inFrames: number
  /** Per second: lost by the impairment, denied by the policy, dropped for want of room. */
  lost: number
  denied: number
  dropped: number
}

const nicOf = z.strictObject({ machine: z.string(), nic: z.string() })
/** A card of a machine, or everything that is plugged into a network. */
export const networkTargetSchema = z.union([nicOf, z.strictObject({ network: networkNameSchema })])
export type NetworkTarget = z.output<typeof networkTargetSchema>
/** The same, or what led to an alert. */
export const packetsTargetSchema = z.union([...networkTargetSchema.options, z.strictObject({ alert: z.uuid() })])
export type PacketsTarget = z.output<typeof packetsTargetSchema>
const name = z.strictObject({ name: networkNameSchema })

export const networks = defineService('networks', {
  list: call(z.strictObject({})).returns<{
    networks: NetworkView[]
    routers: RouterView[]
    /** Cards that are plugged in nowhere. */
    loose: NicView[]
    map: Record<string, { x: number; y: number }>
    /** What was wrong with the file of the networks, and what became of it; null: nothing. */
    problem: WireError | null
  }>(),
  get: call(name).returns<NetworkView>(),
  /** `invalid-input` with the field's path, `already-exists`. Subnets that are left out are chosen so that they meet no other network's and none of this computer's. */
  create: call(newNetworkSchema).returns<NetworkView>(),
  /** Absent fields stay; what is given replaces the field as a whole. In force at once. */
  update: call(name.extend({ patch: networkPatchSchema })).returns<NetworkView>(),
  /** `wrong-state` for the network `default`, and where cards are plugged in, unless `unplug`. */
  remove: call(name.extend({ unplug: z.boolean().default(false) })).returns<void>(),
  addForward: call(name.extend({ forward: forwardSchema.omit({ id: true }) })).returns<NetworkView>(),
  removeForward: call(name.extend({ id: z.string() })).returns<NetworkView>(),
  putRouter: call(routerSchema).returns<RouterView>(),
  removeRouter: call(name).returns<void>(),
  /** Plugs a card in elsewhere; null: nowhere. Of a machine that runs too. */
  connect: call(nicOf.extend({ network: networkNameSchema.nullable() })).returns<void>(),
  /** Null: none any more. Live. */
  impair: call(z.strictObject({ target: networkTargetSchema, impairment: impairmentSchema.nullable() })).returns<void>(),
  /** Cuts a card's link, or joins it again. */
  cut: call(nicOf.extend({ cut: z.boolean() })).returns<void>(),
  place: call(z.strictObject({ key: z.string().max(100), x: z.number(), y: z.number() })).returns<void>(),
  /** They stand where the map puts them by itself, again. */
  unplace: call(z.strictObject({ keys: z.array(z.string().max(100)).max(5000) })).returns<void>(),
  leases: call(name).returns<Lease[]>(),
  releaseLease: call(name.extend({ mac: macSchema })).returns<void>(),
  /** Counters of now, by `machine/nic`; those of networks' gateways by `network`. */
  counters: call(z.strictObject({})).returns<Record<string, PortCounters>>(),
  /** A capture to a new file (pcapng), absolute. `last` and `duration` in ms; one of the two. A task; cancelling one that waits keeps what came. */
  capture: call(
    z.strictObject({
      target: packetsTargetSchema,
      path: z.string().min(1),
      last: z.number().positive().nullable().default(null),
      duration: z.number().positive().nullable().default(null),
    }),
  ).returns<TaskStarted>(),
  /** See `packets` of network-thread.ts. */
  packets: stream(
    z.strictObject({ target: packetsTargetSchema, filter: z.string().max(1000).default(''), kept: z.boolean().default(true) }),
  ).returns<void>(),
  packet: call(z.strictObject({ id: z.string() })).returns<PacketView | null>(),
  flow: call(z.strictObject({ id: z.string() })).returns<FlowView | null>(),
  /** The newest first; the last 200 of this run. */
  alerts: call(z.strictObject({})).returns<NetworkAlert[]>(),
  dismissAlert: call(z.strictObject({ id: z.string() })).returns<void>(),
  changed: event<NetworkChange>(),
  /** Once a second while somebody listens and something is plugged in; by `machine/nic`, and by `network` of the gateways. What stands still is left out. */
  traffic: event<Record<string, TrafficSample>>(),
  alert: event<NetworkAlert>(),
  alertDismissed: event<{ id: string }>(),
})
