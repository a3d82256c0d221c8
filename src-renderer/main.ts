/** The window begins here. */
import { config } from 'zod'
import { dialPorts, dialWebSocket, inElectron } from './client/dial.ts'

// The page's content policy forbids eval, with which zod would compile its parsers; every schema asks when it is made, so this comes
// before any module that makes one. Electron's port arrives when the page is parsed: whoever takes it must be listening by then.
config({ jitless: true })
const dial = inElectron() ? dialPorts() : dialWebSocket()
const { start } = await import('./start.ts')
start(dial)
