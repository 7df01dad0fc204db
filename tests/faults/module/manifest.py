# With line numbers, so that a test can say where memory ran out.
package("asyncio", base_path="$(MPY_DIR)/extmod", opt=0)
