/** The window begins here. */
import { config } from 'zod'

// The page's content policy forbids eval, with which zod would compile its parsers; every schema asks when it is made, so this comes
// before any module that makes one.
config({ jitless: true })
await import('./start.ts')
