/** The catalogue: every service that the host offers. */
export { images } from './images.ts'
export { machines } from './machines.ts'
export { metrics } from './metrics.ts'
export { settings } from './settings.ts'
export { snapshots } from './snapshots.ts'
export { system } from './system.ts'
export { tasks } from './tasks.ts'
export { terminals } from './terminals.ts'
