/**
 * The commands that Coppice gives QEMU: arguments as types, answers as schemas, because a guest that broke out of its QEMU
 * writes these answers. Names and members: QEMU QMP Reference Manual.
 */
import { z } from 'zod'

const command =
  <Arguments extends object | void = void>() =>
  <Returns extends z.ZodType>(returns: Returns): { returns: Returns; arguments?: Arguments } => ({ returns })

const nothing = z.unknown().transform((): void => undefined)
const count = z.number().nonnegative()

/** RunState: "running", "paused", "inmigrate", "prelaunch", "io-error", "internal-error", … (qapi/run-state.json). */
const runState = z.string()

const migrationInfo = z.object({
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  'blocked-reasons': z.array(z.string()).optional(),
})
export type MigrationInfo = z.output<typeof migrationInfo>

const blockStats = z.object({
  qdev: z.string().optional(),
  device: z.string().optional(),
  stats: z.object({ rd_bytes: count, wr_bytes: count, rd_operations: count, wr_operations: count }),
})
export type BlockStats = z.output<typeof blockStats>

const blockInfo = z.object({
  qdev: z.string().optional(),
  /** Only of drives with one. */
  tray_open: z.boolean().optional(),
  /** By the guest. */
  locked: z.boolean(),
  inserted: z.object({ 'node-name': z.string().optional() }).optional(),
})

const hotpluggableCpu = z.object({
  type: z.string(),
  /** Where it goes, as device_add takes it. */
  props: z.record(z.string(), z.number()),
  /** Only of those that are there. */
  'qom-path': z.string().optional(),
})

/** SocketAddress (qapi/sockets.json). */
type SocketAddress = { type: 'unix'; path: string } | { type: 'inet'; host: string; port: string }

export const QMP_COMMANDS = {
  'query-status': command()(z.object({ status: runState, running: z.boolean() })),
  'query-uuid': command()(z.object({ UUID: z.string() })),
  'query-version': command()(z.object({ qemu: z.object({ major: count, minor: count, micro: count }), package: z.string() })),
  'query-chardev': command()(z.array(z.object({ label: z.string(), filename: z.string(), 'frontend-open': z.boolean() }))),
  'query-blockstats': command()(z.array(blockStats)),
  stop: command()(nothing),
  cont: command()(nothing),
  system_reset: command()(nothing),
  system_powerdown: command()(nothing),
  quit: command()(nothing),
  'migrate-set-capabilities': command<{ capabilities: { capability: string; state: boolean }[] }>()(nothing),
  /** max-bandwidth: bytes a second. */
  'migrate-set-parameters': command<{ 'max-bandwidth'?: number }>()(nothing),
  migrate: command<{ uri: string }>()(nothing),
  'migrate-incoming': command<{ uri: string }>()(nothing),
  migrate_cancel: command()(nothing),
  'query-migrate': command()(migrationInfo),
  set_link: command<{ name: string; up: boolean }>()(nothing),
  'query-block': command()(z.array(blockInfo)),
  block_resize: command<{ 'node-name': string; size: number }>()(nothing),
  'blockdev-add': command<{ 'node-name': string; driver: string }>()(nothing),
  /** drv: "qcow2", "file", "throttle"; file: its path, or "json:…". */
  'query-named-block-nodes': command<{ flat: boolean }>()(
    z.array(z.object({ 'node-name': z.string(), drv: z.string(), file: z.string() })),
  ),
  'block-stream': command<{ 'job-id': string; device: string; 'base-node'?: string; 'backing-file'?: string; 'auto-finalize': boolean }>()(
    nothing,
  ),
  'query-jobs': command()(z.array(z.object({ id: z.string(), 'current-progress': count, 'total-progress': count }))),
  'job-cancel': command<{ id: string }>()(nothing),
  'job-finalize': command<{ id: string }>()(nothing),
  /** What the monitor for people would print. */
  'human-monitor-command': command<{ 'command-line': string }>()(z.string()),
  transaction: command<{ actions: { type: 'blockdev-snapshot'; data: { node: string; overlay: string } }[] }>()(nothing),
  'blockdev-del': command<{ 'node-name': string }>()(nothing),
  'blockdev-open-tray': command<{ id: string; force: boolean }>()(nothing),
  'blockdev-close-tray': command<{ id: string }>()(nothing),
  'blockdev-remove-medium': command<{ id: string }>()(nothing),
  'blockdev-insert-medium': command<{ id: string; 'node-name': string }>()(nothing),
  'object-add': command<{ 'qom-type': string; id: string }>()(nothing),
  'object-del': command<{ id: string }>()(nothing),
  'qom-set': command<{ path: string; property: string; value: unknown }>()(nothing),
  'qom-list': command<{ path: string }>()(z.array(z.object({ name: z.string() }))),
  device_add: command<{ driver: string; id: string }>()(nothing),
  device_del: command<{ id: string }>()(nothing),
  netdev_add: command<{ type: 'stream'; id: string; server: boolean; addr: SocketAddress }>()(nothing),
  netdev_del: command<{ id: string }>()(nothing),
  balloon: command<{ value: number }>()(nothing),
  'query-balloon': command()(z.object({ actual: count })),
  'query-hotpluggable-cpus': command()(z.array(hotpluggableCpu)),
  screendump: command<{ filename: string; format?: 'png' | 'ppm' }>()(nothing),
} as const

export type QmpCommand = keyof typeof QMP_COMMANDS
export type QmpArguments<C extends QmpCommand> = Exclude<(typeof QMP_COMMANDS)[C]['arguments'], undefined>
export type QmpReturns<C extends QmpCommand> = z.output<(typeof QMP_COMMANDS)[C]['returns']>
