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

const migrationInfo = z.object({ status: z.string().optional(), 'error-desc': z.string().optional() })
export type MigrationInfo = z.output<typeof migrationInfo>

const blockStats = z.object({
  qdev: z.string().optional(),
  device: z.string().optional(),
  stats: z.object({ rd_bytes: count, wr_bytes: count, rd_operations: count, wr_operations: count }),
})
export type BlockStats = z.output<typeof blockStats>

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
  screendump: command<{ filename: string; format?: 'png' | 'ppm' }>()(nothing),
} as const

export type QmpCommand = keyof typeof QMP_COMMANDS
export type QmpArguments<C extends QmpCommand> = Exclude<(typeof QMP_COMMANDS)[C]['arguments'], undefined>
export type QmpReturns<C extends QmpCommand> = z.output<(typeof QMP_COMMANDS)[C]['returns']>
