import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.PrintWriter;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.util.concurrent.CyclicBarrier;
import java.util.logging.Logger;
import javax.sql.DataSource;

/** HikariCP over connections to nothing: nanoseconds per getConnection and close of each thread. */
public class Hikari {
    private static final long WARM_UP = 2_000_000_000L;
    private static final long LENGTH = 1_000_000_000L;

    /** Connections that answer every call with the nothing of its type. */
    private static final class Stub implements DataSource {
        private static final InvocationHandler NOTHING = (proxy, method, arguments) -> switch (method.getName()) {
            case "isValid", "getAutoCommit" -> true;
            case "hashCode" -> System.identityHashCode(proxy);
            case "equals" -> proxy == arguments[0];
            case "toString" -> "nothing";
            default -> method.getReturnType() == boolean.class ? (Object) false
                    : method.getReturnType() == int.class ? (Object) 0 : null;
        };

        @Override public Connection getConnection() {
            return (Connection) Proxy.newProxyInstance(
                    Stub.class.getClassLoader(), new Class<?>[] {Connection.class}, NOTHING);
        }
        @Override public Connection getConnection(String user, String password) { return getConnection(); }
        @Override public PrintWriter getLogWriter() { return null; }
        @Override public void setLogWriter(PrintWriter out) { }
        @Override public void setLoginTimeout(int seconds) { }
        @Override public int getLoginTimeout() { return 0; }
        @Override public Logger getParentLogger() { return Logger.getGlobal(); }
        @Override public <T> T unwrap(Class<T> type) { return null; }
        @Override public boolean isWrapperFor(Class<?> type) { return false; }
    }

    private static double cycles(DataSource pool, long length) throws Exception {
        long began = System.nanoTime(), count = 0, now = began;
        while (now - began < length) {
            for (int each = 0; each < 1_000; each++) {
                pool.getConnection().close();
            }
            count += 1_000;
            now = System.nanoTime();
        }
        return (double) (now - began) / count;
    }

    /** What the slowest of so many threads took. */
    private static double slowest(DataSource pool, int threads) throws Exception {
        double[] each = new double[threads];
        CyclicBarrier start = new CyclicBarrier(threads);
        Thread[] running = new Thread[threads];
        for (int at = 0; at < threads; at++) {
            int own = at;
            running[at] = new Thread(() -> {
                try {
                    cycles(pool, WARM_UP);
                    start.await();
                    each[own] = cycles(pool, LENGTH);
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            running[at].start();
        }
        double slowest = 0;
        for (int at = 0; at < threads; at++) {
            running[at].join();
            slowest = Math.max(slowest, each[at]);
        }
        return slowest;
    }

    public static void main(String[] arguments) throws Exception {
        HikariConfig config = new HikariConfig();
        config.setDataSource(new Stub());
        config.setMaximumPoolSize(10);
        config.setMinimumIdle(10);
        try (HikariDataSource pool = new HikariDataSource(config)) {
            System.out.printf("%.1f %.1f%n", slowest(pool, 1), slowest(pool, 2));
        }
    }
}
