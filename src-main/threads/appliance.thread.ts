/** Entry of the appliance thread: assembles Coppice Linux and fetches firmware. */
import { serveAppliance } from '../appliance/serve-appliance.ts'
import { serveThread } from './serve-thread.ts'

serveThread(serveAppliance)
