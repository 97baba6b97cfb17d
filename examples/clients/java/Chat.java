import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import spread.MembershipInfo;
import spread.SpreadConnection;
import spread.SpreadGroup;
import spread.SpreadMessage;

/**
 * A chat in one group, with the original's Java library.
 *
 * <p>{@code java -cp spread.jar Chat.java alice chat 4803@localhost}
 */
public final class Chat {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 2) {
            System.err.println("usage: Chat USER GROUP [PORT@HOST]");
            System.exit(2);
        }
        String[] address = (arguments.length > 2 ? arguments[2] : "4803@localhost").split("@", 2);
        SpreadConnection connection = new SpreadConnection();
        connection.connect(InetAddress.getByName(address[1]), Integer.parseInt(address[0]),
                arguments[0], false, true);
        System.out.println("connected as " + connection.getPrivateGroup());
        SpreadGroup group = new SpreadGroup();
        group.join(connection, arguments[1]);

        Thread receiver = new Thread(() -> receive(connection));
        receiver.setDaemon(true);
        receiver.start();

        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            SpreadMessage message = new SpreadMessage();
            message.setAgreed();
            message.addGroup(arguments[1]);
            message.setData(line.getBytes(StandardCharsets.UTF_8));
            connection.multicast(message);
        }
        group.leave();
        connection.disconnect();
    }

    private static void receive(SpreadConnection connection) {
        try {
            while (true) {
                show(connection.receive());
            }
        } catch (Exception ended) {
            System.out.println("the connection ended");
        }
    }

    private static void show(SpreadMessage message) {
        if (message.isRegular()) {
            String text = new String(message.getData(), StandardCharsets.UTF_8);
            System.out.println(message.getSender() + ": " + text);
        } else if (message.isMembership()) {
            MembershipInfo view = message.getMembershipInfo();
            if (view.isRegularMembership()) {
                StringBuilder members = new StringBuilder();
                for (SpreadGroup member : view.getMembers()) {
                    members.append(' ').append(member);
                }
                System.out.println("members of " + view.getGroup() + ":" + members);
            }
        }
    }
}
