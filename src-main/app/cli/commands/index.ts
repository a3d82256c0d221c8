/** Every command and where its code is. In the order of the help. */
import type { Command } from 'commander'
import type { Run } from '../cli.ts'

/** What each file here exports: adds one command to the program. */
export type Define = (program: Command, run: Run) => void

export const COMMANDS = {
  doctor: async () => (await import('./doctor.ts')).defineDoctor,
  create: async () => (await import('./create.ts')).defineCreate,
  list: async () => (await import('./list.ts')).defineList,
  show: async () => (await import('./show.ts')).defineShow,
  set: async () => (await import('./set.ts')).defineSet,
  start: async () => (await import('./start.ts')).defineStart,
  stop: async () => (await import('./stop.ts')).defineStop,
  pause: async () => (await import('./pause.ts')).definePause,
  resume: async () => (await import('./resume.ts')).defineResume,
  suspend: async () => (await import('./suspend.ts')).defineSuspend,
  reset: async () => (await import('./reset.ts')).defineReset,
  delete: async () => (await import('./delete.ts')).defineDelete,
  decide: async () => (await import('./decide.ts')).defineDecide,
  console: async () => (await import('./console.ts')).defineConsole,
  type: async () => (await import('./type.ts')).defineType,
  exec: async () => (await import('./exec.ts')).defineExec,
  screenshot: async () => (await import('./screenshot.ts')).defineScreenshot,
  metrics: async () => (await import('./metrics.ts')).defineMetrics,
  clone: async () => (await import('./clone.ts')).defineClone,
  template: async () => (await import('./template.ts')).defineTemplate,
  import: async () => (await import('./import.ts')).defineImport,
  export: async () => (await import('./export.ts')).defineExport,
  snapshot: async () => (await import('./snapshot.ts')).defineSnapshot,
  disk: async () => (await import('./disk.ts')).defineDisk,
  net: async () => (await import('./net.ts')).defineNet,
  serve: async () => (await import('./serve.ts')).defineServe,
  quit: async () => (await import('./quit.ts')).defineQuit,
} satisfies Record<string, () => Promise<Define>>

export type CommandName = keyof typeof COMMANDS
