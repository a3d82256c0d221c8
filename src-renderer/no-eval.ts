/** The page's content policy forbids eval, with which zod would compile its parsers. Imported before any schema is made. */
import { config } from 'zod'

config({ jitless: true })
